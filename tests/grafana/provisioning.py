"""Rules for the provisioning files of data sources and dashboards."""

import re

import yaml

from boards import ROOT

FOLDER = ROOT / "grafana" / "provisioning"
COMPOSE = ROOT / "deploy" / "compose.yaml"


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
    yield from compose_findings(sources)


def compose_findings(sources):
    """Differences between the provisioning files and the container that mounts them."""
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    grafana = services["grafana"]
    used = {name for source in sources for name in re.findall(r"\$\{(\w+)\}", source["url"])}
    missing = used - set(grafana["environment"])
    if missing:
        yield f"{COMPOSE.name}: Grafana lacks the variables {sorted(missing)}"
    ports = {"PROMETHEUS_URL": "prometheus", "ALERTMANAGER_URL": "alertmanager"}
    for variable, service in ports.items():
        address = grafana["environment"].get(variable, "").removeprefix("http://")
        if f"--web.listen-address={address}" not in services[service]["command"]:
            yield f"{COMPOSE.name}: {variable} is not where {service} listens"
    mounts = dict(volume.split(":")[:2] for volume in grafana["volumes"])
    inside = {path: source for source, path in mounts.items()}
    for provider in read("dashboards")["providers"]:
        path = provider["options"]["path"]
        if inside.get(path) != "../grafana/dashboards":
            yield f"{COMPOSE.name}: {path} is not where the dashboards are mounted"
    for service in services.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith(".") and not (COMPOSE.parent / source).exists():
                yield f"{COMPOSE.name}: there is no {source}"


def read(folder):
    """The only file of a folder."""
    (path,) = (FOLDER / folder).glob("*.yml")
    document = yaml.safe_load(path.read_text())
    if document["apiVersion"] != 1:
        raise ValueError(f"{path}: apiVersion {document['apiVersion']}")
    return document
