//! A feed of Redis streams.
//!
//! Input: the entries of streams after a position, whose field `payload` is a message. Output: batches of
//! messages. Invariants: a position is saved after the entries before it are on disk; entries that the server
//! deleted before they were read are counted; an entry that cannot be read is refused alone. Deliberately
//! absent: TLS, clusters, consumer groups (the position is the exporter's own, as for files).
//!
//! # Design
//! The server numbers the entries that it ever added (`entries-added`, since Redis 7). A position has the
//! number of its entry beside the id. If the last entry of a stream is the one that was read last, both
//! numbers must be equal: what is missing was deleted unread, however. While there is more to read, the
//! entries that are no longer held show the same.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::streams::{StreamId, StreamReadReply};
use redis::{
    AsyncConnectionConfig, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo, RedisError,
    Value,
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::file::PositionSaver;
use super::sink::{Committed, commit};
use super::{BATCH_MESSAGES_MAX, FeedContext, FeedEvent, FeedMessage};
use crate::config::{FeedLogin, FeedStart};

/// How long the server waits for an entry before it answers that there is none.
const BLOCK: Duration = Duration::from_secs(2);
/// The longest wait for an answer.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The position before the first entry.
const BEFORE_ALL: &str = "0-0";

/// The server and its streams.
pub(super) struct StreamSource {
    /// Host and port.
    pub(super) address: String,
    pub(super) database: u32,
    pub(super) streams: Vec<String>,
    pub(super) start: FeedStart,
    pub(super) login: Option<FeedLogin>,
}

/// The position in one stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StreamPlace {
    /// The id of the last entry that was taken.
    id: String,
    /// The number of that entry, counted from the first one ever added. `None`: unknown.
    number: Option<u64>,
}

/// The positions by stream.
type StreamPlaces = BTreeMap<String, StreamPlace>;

/// A stream, as the server describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct StreamInfo {
    /// Entries that it holds.
    length: u64,
    /// The id of the last entry ever added.
    last_id: String,
    /// Entries ever added. `None` before Redis 7.
    added: Option<u64>,
    /// The id of the first entry that it holds.
    first_id: Option<String>,
}

/// Why a connection ended.
enum ReadingEnd {
    Stopped,
    Failed(RedisError),
}

impl From<RedisError> for ReadingEnd {
    fn from(error: RedisError) -> Self {
        Self::Failed(error)
    }
}

/// Reads streams until `stop` is cancelled.
pub(super) async fn run(
    name: &str,
    source: StreamSource,
    context: FeedContext,
    stop: CancellationToken,
) {
    let mut saver = PositionSaver::new(&context, name, source.describe());
    let Some(places) = saver.load::<StreamPlaces>().await else { return };
    let mut places = places.unwrap_or_default();
    places.retain(|key, _| source.streams.contains(key));
    let mut backoff = Backoff::default();
    loop {
        let reading = source.connection((&mut places, &mut saver), &context, &mut backoff, &stop);
        match reading.await {
            ReadingEnd::Stopped => return saver.save(places).await,
            ReadingEnd::Failed(error) => {
                let why = format!("{}: {error}", source.address);
                context.observe(FeedEvent::Failing(why));
            }
        }
        stop.run_until_cancelled(tokio::time::sleep(backoff.next())).await;
    }
}

impl StreamSource {
    fn describe(&self) -> String {
        format!("redis {} {}", self.address, self.database)
    }

    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        let (host, port) = self.address.rsplit_once(':').unwrap_or((&self.address, ""));
        let host = host.trim_matches(['[', ']']).to_owned();
        let address = ConnectionAddr::Tcp(host, port.parse().unwrap_or(6379));
        let mut settings =
            RedisConnectionInfo::default().set_db(i64::from(self.database)).set_skip_set_lib_name();
        if let Some(login) = &self.login {
            if !login.username.is_empty() {
                settings = settings.set_username(&login.username);
            }
            settings = settings.set_password(login.password.as_str());
        }
        let info = address.into_connection_info()?.set_redis_settings(settings);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        redis::Client::open(info)?.get_multiplexed_async_connection_with_config(&config).await
    }

    /// Reads over one connection until it fails or `stop` is cancelled.
    async fn connection(
        &self,
        (places, saver): (&mut StreamPlaces, &mut PositionSaver<'_>),
        context: &FeedContext,
        backoff: &mut Backoff,
        stop: &CancellationToken,
    ) -> ReadingEnd {
        let reading = async {
            let Some(connected) = stop.run_until_cancelled(self.connect()).await else {
                return Err(ReadingEnd::Stopped);
            };
            let mut connection = connected?;
            for key in &self.streams {
                let info = stream_info(&mut connection, key).await?;
                if !places.contains_key(key) {
                    places.insert(key.clone(), first_place(self.start, info.as_ref()));
                    saver.note();
                }
                self.compare(places, key, info.as_ref(), context);
            }
            backoff.reset();
            context.observe(FeedEvent::Reading(format!("connected to {}", self.address)));
            loop {
                let Some(reply) = stop.run_until_cancelled(read(&mut connection, places)).await
                else {
                    return Err(ReadingEnd::Stopped);
                };
                let reply = reply?;
                let is_last = reply.keys.iter().all(|key| key.ids.len() < BATCH_MESSAGES_MAX);
                for stream in reply.keys {
                    let taken = take(&stream.key, &stream.ids, (places, context), stop).await;
                    if taken == Committed::Stopped {
                        return Err(ReadingEnd::Stopped);
                    }
                    if saver.note() {
                        saver.save(places.clone()).await;
                    }
                }
                if is_last {
                    for key in &self.streams {
                        let info = stream_info(&mut connection, key).await?;
                        self.compare(places, key, info.as_ref(), context);
                    }
                    saver.save(places.clone()).await;
                }
                if !saver.is_failing() {
                    context.observe(FeedEvent::Reading(format!("connected to {}", self.address)));
                }
            }
        };
        let end: Result<std::convert::Infallible, ReadingEnd> = reading.await;
        match end {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    /// Counts the entries that were deleted before they were read.
    fn compare(
        &self,
        places: &mut StreamPlaces,
        key: &str,
        info: Option<&StreamInfo>,
        context: &FeedContext,
    ) {
        let (Some(place), Some(info)) = (places.get_mut(key), info) else { return };
        if let Some((missed, what)) = judge(place, info) {
            let what = format!("stream {key} at {}: {what}", self.address);
            context.observe(FeedEvent::Missed(missed, what));
        }
    }
}

/// The next entries of all streams.
async fn read(
    connection: &mut MultiplexedConnection,
    places: &StreamPlaces,
) -> Result<StreamReadReply, RedisError> {
    let mut command = redis::cmd("XREAD");
    command.arg("COUNT").arg(BATCH_MESSAGES_MAX);
    command.arg("BLOCK").arg(u64::try_from(BLOCK.as_millis()).unwrap_or(u64::MAX));
    command.arg("STREAMS").arg(places.keys().collect::<Vec<_>>());
    command.arg(places.values().map(|place| place.id.as_str()).collect::<Vec<_>>());
    let reply: Option<StreamReadReply> = command.query_async(connection).await?;
    Ok(reply.unwrap_or_default())
}

/// Takes the entries of one stream, and moves its place.
async fn take(
    key: &str,
    entries: &[StreamId],
    (places, context): (&mut StreamPlaces, &FeedContext),
    stop: &CancellationToken,
) -> Committed {
    let bytes_max = (context.message_bytes_max)();
    let mut messages = Vec::with_capacity(entries.len());
    for entry in entries {
        let origin = format!("{key}:{}", entry.id);
        let message = payload(entry).and_then(|text| {
            if text.len() > bytes_max {
                return Err(format!("is longer than {bytes_max} bytes"));
            }
            Ok(FeedMessage::new(text.as_bytes(), origin.clone()))
        });
        match message {
            Ok(message) => messages.push(message),
            Err(why) => context.observe(FeedEvent::Unreadable(format!("entry {origin} {why}"))),
        }
    }
    let committed = commit(context, messages, stop).await;
    if committed == Committed::All
        && let (Some(place), Some(last)) = (places.get_mut(key), entries.last())
    {
        place.id.clone_from(&last.id);
        place.number = place.number.map(|number| number + entries.len() as u64);
    }
    committed
}

/// The message in an entry: JSON, or `MessagePack` as JSON.
fn payload(entry: &StreamId) -> Result<String, String> {
    let bytes = match entry.map.get("payload") {
        Some(Value::BulkString(bytes)) => bytes.as_slice(),
        Some(Value::SimpleString(text)) => text.as_bytes(),
        Some(_) | None => return Err(String::from("has no field payload")),
    };
    if bytes.trim_ascii_start().starts_with(b"{") || bytes.trim_ascii_start().starts_with(b"[") {
        return match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(format!("is not UTF-8: {error}")),
        };
    }
    match rmp_serde::from_slice::<serde_json::Value>(bytes) {
        Ok(value) if value.is_object() || value.is_array() => Ok(value.to_string()),
        Ok(_) => Err(String::from("is neither JSON nor a map of MessagePack")),
        Err(error) => Err(format!("is neither JSON nor MessagePack that JSON can hold: {error}")),
    }
}

/// A stream, as the server describes it. `None`: there is none.
async fn stream_info(
    connection: &mut MultiplexedConnection,
    key: &str,
) -> Result<Option<StreamInfo>, RedisError> {
    let exists: bool = redis::cmd("EXISTS").arg(key).query_async(connection).await?;
    if !exists {
        return Ok(None);
    }
    let mut command = redis::cmd("XINFO");
    command.arg("STREAM").arg(key);
    let told: HashMap<String, Value> = command.query_async(connection).await?;
    let number = |name: &str| match told.get(name) {
        Some(Value::Int(value)) => u64::try_from(*value).ok(),
        Some(_) | None => None,
    };
    let first_id = match told.get("first-entry") {
        Some(Value::Array(entry)) => entry.first().and_then(text),
        Some(_) | None => None,
    };
    Ok(Some(StreamInfo {
        length: number("length").unwrap_or_default(),
        last_id: told.get("last-generated-id").and_then(text).unwrap_or_default(),
        added: number("entries-added"),
        first_id,
    }))
}

fn text(value: &Value) -> Option<String> {
    redis::from_redis_value_ref(value).ok()
}

/// Where a feed without a position begins.
fn first_place(start: FeedStart, info: Option<&StreamInfo>) -> StreamPlace {
    match (start, info) {
        (_, None) => StreamPlace { id: BEFORE_ALL.to_owned(), number: Some(0) },
        (FeedStart::All, Some(info)) => {
            StreamPlace { id: BEFORE_ALL.to_owned(), number: info.gone() }
        }
        (FeedStart::New, Some(info)) => {
            StreamPlace { id: info.last_id.clone(), number: info.added }
        }
    }
}

impl StreamInfo {
    /// The number of entries that were deleted.
    fn gone(&self) -> Option<u64> {
        self.added.map(|added| added.saturating_sub(self.length))
    }
}

/// An id as two numbers, in order.
fn parts(id: &str) -> (u64, u64) {
    let (time, number) = id.split_once('-').unwrap_or((id, "0"));
    (time.parse().unwrap_or_default(), number.parse().unwrap_or_default())
}

/// How many entries were deleted unread (0: unknown), and how. Corrects the place.
fn judge(place: &mut StreamPlace, info: &StreamInfo) -> Option<(u64, &'static str)> {
    let (at, last) = (parts(&place.id), parts(&info.last_id));
    let is_older = info.added.zip(place.number).is_some_and(|(added, number)| added < number);
    if last < at || is_older {
        *place = StreamPlace { id: BEFORE_ALL.to_owned(), number: info.gone() };
        return Some((0, "it was created anew, and is read from its beginning"));
    }
    let Some(added) = info.added else {
        // Without numbers, entries may be missing between the place and the first one.
        let is_after = info.first_id.as_deref().is_some_and(|first| parts(first) > at);
        place.number = None;
        return (is_after && place.id != BEFORE_ALL)
            .then_some((0, "entries may have been deleted unread"));
    };
    let reached = if last == at { added } else { info.gone().unwrap_or_default() };
    let number = place.number.replace(reached.max(place.number.unwrap_or(reached)));
    let missed = reached.saturating_sub(number.unwrap_or(reached));
    (missed > 0).then_some((missed, "entries were deleted unread"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(length: u64, last_id: &str, added: u64) -> StreamInfo {
        StreamInfo { length, last_id: last_id.to_owned(), added: Some(added), first_id: None }
    }

    #[test]
    fn entries_that_were_deleted_unread_are_counted_once() {
        let check = |number: u64, told: &StreamInfo, expect: Option<u64>| {
            let mut place = StreamPlace { id: String::from("5-0"), number: Some(number) };
            let found = judge(&mut place, told).map(|(missed, _)| missed);
            assert_eq!(found, expect, "{number} {told:?}");
            if place.id == "5-0" {
                assert_eq!(judge(&mut place, told), None, "twice: {number} {told:?}");
            }
        };
        // All is read; whatever of it is deleted then is no gap.
        check(5, &info(5, "5-0", 5), None);
        check(5, &info(0, "5-0", 5), None);
        // There is more.
        check(5, &info(9, "9-0", 9), None);
        check(5, &info(4, "9-0", 9), None);
        check(5, &info(3, "9-0", 9), Some(1));
        check(5, &info(0, "9-0", 9), Some(4));
        // Two before the last one that was read were never seen.
        check(3, &info(1, "5-0", 5), Some(2));
        // An older server does not number its entries.
        let of_older = |first: &str| StreamInfo {
            added: None,
            first_id: Some(first.to_owned()),
            ..info(1, "9-0", 0)
        };
        let mut place = StreamPlace { id: String::from("5-0"), number: Some(5) };
        assert_eq!(judge(&mut place, &of_older("4-0")), None);
        assert_eq!(judge(&mut place, &of_older("6-0")).map(|(missed, _)| missed), Some(0));
        assert_eq!(judge(&mut place, &info(1, "9-0", 90)), None, "it was replaced by a newer one");
        // Another stream of that name.
        check(5, &info(2, "2-0", 2), Some(0));
        check(5, &info(2, "9-0", 2), Some(0));
    }

    #[test]
    fn a_payload_is_json_or_message_pack() {
        let check = |payload: &[u8], expect: Result<&str, &str>| {
            let value = Value::BulkString(payload.to_vec());
            let map = HashMap::from([(String::from("payload"), value)]);
            let found = super::payload(&StreamId { map, ..StreamId::default() });
            match expect {
                Ok(text) => assert_eq!(found.as_deref(), Ok(text)),
                Err(why) => assert!(found.as_ref().is_err_and(|e| e.contains(why)), "{found:?}"),
            }
        };
        check(b"{\"a\":1}", Ok("{\"a\":1}"));
        let packed = rmp_serde::to_vec(&serde_json::json!({"a": "1.50", "b": [1]})).unwrap();
        check(&packed, Ok("{\"a\":\"1.50\",\"b\":[1]}"));
        check(b"abc", Err("neither JSON"));
        check(b"\x81\xa1a\xc4\x01x", Err("that JSON can hold"));
        assert!(super::payload(&StreamId::default()).is_err());
    }
}
