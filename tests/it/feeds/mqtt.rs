//! Feeds of topics, from a real mosquitto with a password, which stops in the middle; and an exporter that
//! is killed in the middle.

use std::fs;
use std::process::Stdio;

use serde_json::Value;
use trading_exporter::clock::monotonic;

use super::servers::{Server, command, free_port};
use super::{FeedHome, health, messages, posted, recording, wait_for, wait_for_orders};
use crate::exporter::SOON;

/// A server whose queues outlive it.
struct Mosquitto {
    home: FeedHome,
    port: u16,
}

impl Mosquitto {
    fn new() -> Self {
        let (home, port) = (FeedHome::new(), free_port());
        let place = home.directory.path().display().to_string();
        fs::write(home.path("password"), "s3cret\n").unwrap();
        let mut passwd = command("mosquitto_passwd");
        passwd.args(["-b", "-c", &format!("{place}/users"), "bot", "s3cret"]);
        let made = passwd.status().unwrap();
        assert!(made.success(), "mosquitto_passwd: `tests/run tools` installs it");
        let config = format!(
            "listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {place}/users\n\
             persistence true\npersistence_location {place}/\n{}",
            // Without root it runs as the user who starts it.
            if rustix::process::getuid().is_root() { "user root\n" } else { "" },
        );
        fs::write(home.path("mosquitto.conf"), config).unwrap();
        Self { home, port }
    }

    fn start(&self) -> Server {
        let config = self.home.path("mosquitto.conf");
        let arguments = ["-c", config.to_str().unwrap()];
        Server::start("mosquitto", &arguments, || self.try_publish("test", "up"))
    }

    fn try_publish(&self, topic: &str, payload: &str) -> bool {
        let port = self.port.to_string();
        let mut publish = command("mosquitto_pub");
        publish.args(["-h", "127.0.0.1", "-p", &port, "-u", "bot", "-P", "s3cret"]);
        publish.args(["-q", "1", "-t", topic, "-m", payload]).stderr(Stdio::null());
        publish.status().unwrap().success()
    }

    /// Publishes a line of a recording.
    fn publish(&self, line: &str) {
        let line: Value = serde_json::from_str(line).unwrap();
        let (topic, payload) = (line["topic"].as_str().unwrap(), line["payload"].as_str().unwrap());
        let deadline = monotonic() + SOON;
        while !self.try_publish(topic, payload) {
            assert!(monotonic() < deadline, "not published");
        }
    }

    fn configure(&self, password_file: &str) {
        self.home.configure(&format!(
            "    account: bot\n    adapter: hummingbot\n    mqtt:\n      address: 127.0.0.1:{}\n      \
             topics: ['hbot/+/events', 'hbot/+/hb', 'hbot/+/status_updates', 'hbot/+/log']\n      \
             username: bot\n      password_file: {password_file}\n",
            self.port,
        ));
    }
}

#[test]
fn messages_survive_a_server_and_an_exporter_that_stop() {
    let lines = recording("hummingbot");
    let expect = posted("/api/v1/adapters/hummingbot?account=bot", &lines);
    let mosquitto = Mosquitto::new();
    mosquitto.configure("PLACE/password");
    let mut server = mosquitto.start();
    let mut exporter = mosquitto.home.start();
    let subscribed = |exporter: &crate::exporter::Exporter| {
        wait_for(exporter, "a subscription", || health(exporter).1.contains("subscribed"));
    };
    subscribed(&exporter);
    for (number, line) in lines.iter().enumerate() {
        if number == lines.len() / 4 {
            server.stop();
            exporter.wait_for_log(&["the feed fails"]);
            server = mosquitto.start();
        }
        if number == lines.len() / 2 {
            exporter = mosquitto.home.restart(exporter);
        }
        if number == lines.len() * 3 / 4 {
            // The server keeps what is published meanwhile.
            exporter.signal("KILL");
            exporter.wait();
        }
        mosquitto.publish(line);
    }
    let exporter = mosquitto.home.start();
    wait_for_orders(&exporter, &expect);
    subscribed(&exporter);
    assert_eq!(messages(&exporter, "refused"), 0, "{}", exporter.log());
    server.stop();
}

#[test]
fn a_refused_password_and_a_wrong_payload_are_told() {
    let mosquitto = Mosquitto::new();
    fs::write(mosquitto.home.path("wrong"), "canary\n").unwrap();
    mosquitto.configure("PLACE/wrong");
    let server = mosquitto.start();
    let exporter = mosquitto.home.start();
    let line = exporter.wait_for_log(&["the feed fails"]);
    assert!(line.contains("refused"), "{line}");
    assert!(!exporter.log().contains("canary"), "{}", exporter.log());
    mosquitto.configure("PLACE/password");
    exporter.signal("HUP");
    wait_for(&exporter, "a subscription", || health(&exporter).0 == "healthy");
    // A message that is no JSON is refused or ignored, and acknowledged.
    assert!(mosquitto.try_publish("hbot/a/events", "no JSON"));
    let order = "{\"timestamp\":1772442001,\"type\":\"OrderCancelled\",\"data\":{}}";
    assert!(mosquitto.try_publish("hbot/a/events", order));
    wait_for(&exporter, "both", || {
        (messages(&exporter, "refused"), messages(&exporter, "ignored")) == (1, 1)
    });
    server.stop();
}
