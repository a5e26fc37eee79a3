"""Rules for the provisioning files of data sources and dashboards."""

import yaml

from boards import ROOT

FOLDER = ROOT / "grafana" / "provisioning"


def findings():
    """All findings."""
    sources = read("datasources")["datasources"]
    known = {source["uid"]: source["type"] for source in sources}
    if known != {"prometheus": "prometheus", "alertmanager": "alertmanager"}:
        yield f"data sources: {known}"
    for source in sources:
        if not source["url"].startswith("${") or source.get("editable") is not False:
            yield f"data source {source['name']}: {source}"
        asked = source["jsonData"].get("alertmanagerUid")
        if asked is not None and asked not in known:
            yield f"data source {source['name']}: no Alertmanager {asked}"
    for provider in read("dashboards")["providers"]:
        if provider["type"] != "file" or provider["allowUiUpdates"] or not provider["folder"]:
            yield f"dashboards: {provider}"


def read(folder):
    """The only file of a folder."""
    (path,) = (FOLDER / folder).glob("*.yml")
    document = yaml.safe_load(path.read_text())
    if document["apiVersion"] != 1:
        raise ValueError(f"{path}: apiVersion {document['apiVersion']}")
    return document
