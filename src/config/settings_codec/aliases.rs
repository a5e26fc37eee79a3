//! Aliases of symbols as they are written.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::event::Source;
use crate::domain::pattern::Pattern;
use crate::domain::settings::{Alias, Aliases};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AliasShape {
    account: String,
    source: Option<Side>,
    from: Box<str>,
    to: Box<str>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Side {
    Local,
    Broker,
}

pub(super) fn serialize<S: Serializer>(aliases: &Aliases, to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(aliases.all().iter().map(|alias| AliasShape {
        account: alias.account.as_str().to_owned(),
        source: alias.source.map(|source| match source {
            Source::Local => Side::Local,
            Source::Broker => Side::Broker,
        }),
        from: alias.from.clone(),
        to: alias.to.clone(),
    }))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Aliases, D::Error> {
    let shapes = Vec::<AliasShape>::deserialize(from)?;
    let aliases = shapes.into_iter().map(|shape| Alias {
        account: Pattern::new(&shape.account),
        source: shape.source.map(|side| match side {
            Side::Local => Source::Local,
            Side::Broker => Source::Broker,
        }),
        from: shape.from,
        to: shape.to,
    });
    Ok(Aliases::new(aliases.collect()))
}
