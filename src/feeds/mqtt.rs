//! A feed of topics: a client of an MQTT 3.1.1 server, with a session that outlives the connection.
//!
//! Input: messages of the subscribed topics. Output: batches of them. Invariants: a message of `QoS` 1 is
//! acknowledged after it was recorded, in order, on the connection that brought it, so the server keeps it
//! until then and sends it again otherwise; while the engine is busy nothing more is read than the queue
//! holds. Deliberately absent: TLS; `QoS` 2, which a duplicate does not need.
//!
//! # Design
//! Each connection has a client of its own. The packet ids of an old connection mean other messages if the
//! server has forgotten the session, so acknowledgements must not survive it. What was received and is not
//! recorded yet when a connection ends is recorded before the next one begins.

use std::collections::VecDeque;
use std::time::Duration;

use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, Publish, QoS};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::sink::{Committed, commit};
use super::{FeedContext, FeedEvent, FeedMessage};
use crate::config::{FeedFormat, FeedLogin};

/// Messages that are received and not recorded yet, at most.
const QUEUE_MAX: usize = 64;
/// Requests to the client that are not sent yet, at most: acknowledgements and subscriptions.
const REQUESTS_MAX: usize = 4 * QUEUE_MAX;
/// The largest packet of MQTT 3.1.1.
const PACKET_BYTES_MAX: usize = (1 << 28) - 1;
/// The time after which a silent connection is tested.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The server and what is asked of it.
pub(super) struct MqttSource {
    /// Host and port.
    pub(super) address: String,
    pub(super) client_id: String,
    pub(super) topics: Vec<String>,
    pub(super) login: Option<FeedLogin>,
    pub(super) format: FeedFormat,
}

/// Reads topics until `stop` is cancelled.
pub(super) async fn run(source: MqttSource, context: FeedContext, stop: CancellationToken) {
    let mut backoff = Backoff::default();
    while !stop.is_cancelled() {
        let why = source.connection(&context, &mut backoff, &stop).await;
        if stop.is_cancelled() {
            return;
        }
        context.observe(FeedEvent::Failing(format!("{}: {why}", source.address)));
        stop.run_until_cancelled(tokio::time::sleep(backoff.next())).await;
    }
}

/// Whether a topic is one of those that a filter subscribes, which may be shared (`$share/group/filter`).
fn covers(filter: &str, topic: &str) -> bool {
    let shared = filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
    let filter = shared.map_or(filter, |(_, filter)| filter);
    filter == topic || rumqttc::matches(topic, filter)
}

impl MqttSource {
    fn options(&self) -> MqttOptions {
        let (host, port) = self.address.rsplit_once(':').unwrap_or((&self.address, ""));
        let port = port.parse().unwrap_or(1883);
        let mut options = MqttOptions::new(&self.client_id, host, port);
        options.set_clean_session(false).set_manual_acks(true).set_keep_alive(KEEP_ALIVE);
        // A larger packet would end the connection, and come again: a message is refused alone.
        options.set_max_packet_size(PACKET_BYTES_MAX, PACKET_BYTES_MAX);
        if let Some(login) = &self.login {
            options.set_credentials(&login.username, login.password.as_str());
        }
        options
    }

    /// Reads over one connection. Returns why it ended.
    async fn connection(
        &self,
        context: &FeedContext,
        backoff: &mut Backoff,
        stop: &CancellationToken,
    ) -> String {
        let (client, events) = AsyncClient::new(self.options(), REQUESTS_MAX);
        let (sender, received) = mpsc::channel(QUEUE_MAX);
        let reading = self.read((&client, events), sender, (context, backoff), stop);
        let (why, ()) = tokio::join!(reading, self.record(&client, received, context, stop));
        why
    }

    /// Passes on what arrives. It also sends what the client asks for, so it must not wait for long.
    async fn read(
        &self,
        (client, mut events): (&AsyncClient, EventLoop),
        sender: mpsc::Sender<Publish>,
        (context, backoff): (&FeedContext, &mut Backoff),
        stop: &CancellationToken,
    ) -> String {
        loop {
            // Reserve a place first: a message that was read must not be dropped.
            let Some(Ok(place)) = stop.run_until_cancelled(sender.reserve()).await else {
                return String::from("stopped");
            };
            let event = match stop.run_until_cancelled(events.poll()).await {
                None => return String::from("stopped"),
                Some(Err(error)) => return error.to_string(),
                Some(Ok(event)) => event,
            };
            match event {
                Event::Incoming(Packet::ConnAck(_)) => {
                    for topic in &self.topics {
                        if let Err(error) = client.try_subscribe(topic, QoS::AtLeastOnce) {
                            return error.to_string();
                        }
                    }
                }
                Event::Incoming(Packet::SubAck(answer)) => {
                    let is_refused = |code: &rumqttc::SubscribeReasonCode| {
                        matches!(code, rumqttc::SubscribeReasonCode::Failure)
                    };
                    if answer.return_codes.iter().any(is_refused) {
                        return String::from("the server refuses a subscription");
                    }
                    backoff.reset();
                    context.observe(FeedEvent::Reading(format!("subscribed at {}", self.address)));
                }
                Event::Incoming(Packet::Publish(mut publish)) => {
                    let bytes_max = (context.message_bytes_max)();
                    if publish.payload.len() > bytes_max {
                        let topic = &publish.topic;
                        let why = format!("a message of {topic} is longer than {bytes_max} bytes");
                        context.observe(FeedEvent::Unreadable(why));
                        publish.payload.clear();
                    }
                    // The server keeps subscriptions of an earlier configuration.
                    if !self.topics.iter().any(|filter| covers(filter, &publish.topic)) {
                        let topic = &publish.topic;
                        let why = format!("{topic} is no topic of the configuration");
                        context.observe(FeedEvent::Unreadable(why));
                        publish.payload.clear();
                    }
                    place.send(publish);
                }
                Event::Incoming(_) | Event::Outgoing(_) => {}
            }
        }
    }

    /// Records what arrives, and acknowledges it then.
    async fn record(
        &self,
        client: &AsyncClient,
        mut received: mpsc::Receiver<Publish>,
        context: &FeedContext,
        stop: &CancellationToken,
    ) {
        let mut batch = Vec::new();
        // Acknowledgements that the client has no room for now.
        let mut recorded: VecDeque<Publish> = VecDeque::new();
        while received.recv_many(&mut batch, QUEUE_MAX).await > 0 {
            let with_text = batch.iter().filter(|publish| !publish.payload.trim_ascii().is_empty());
            let messages = with_text.map(|publish| self.message(publish)).collect();
            if commit(context, messages, stop).await == Committed::Stopped {
                return;
            }
            recorded.extend(batch.drain(..));
            while let Some(first) = recorded.front() {
                if client.try_ack(first).is_err() {
                    break;
                }
                recorded.pop_front();
            }
        }
    }

    /// Hummingbot's messages need their topic, and may hold what is not JSON (`NaN`).
    fn message(&self, publish: &Publish) -> FeedMessage {
        let origin = publish.topic.clone();
        if self.format.needs_topic() {
            let payload = String::from_utf8_lossy(&publish.payload);
            let text = json!({"topic": publish.topic, "payload": payload}).to_string();
            return FeedMessage::new(text.as_bytes(), origin);
        }
        FeedMessage::new(&publish.payload, origin)
    }
}
