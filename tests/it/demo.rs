//! The demo prints the URLs to open, and can be stopped at any time.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use crate::child::signal;
use crate::exporter::{BINARY, Client, Exporter, run, wait};

#[test]
fn signals_stop_the_demo() {
    for name in ["INT", "TERM"] {
        let mut command = Command::new(BINARY);
        command.args(["demo", "--web.listen-address=127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let (mut output, mut line) = (String::new(), String::new());
        while !line.contains("orders submitted") {
            line.clear();
            assert_ne!(out.read_line(&mut line).unwrap(), 0, "{output}");
            output.push_str(&line);
        }
        let url = output.split("http://").nth(1).unwrap();
        let address: SocketAddr = url.split('/').next().unwrap().parse().unwrap();
        let metrics = Client::connect(address).send("GET", "/metrics", "").body;
        assert!(metrics.contains("trading_orders_submitted_total{account=\"paper\""), "{metrics}");
        signal(&child, name);
        assert_eq!(wait(&mut child).code(), Some(0));
        out.read_to_string(&mut output).unwrap();
        assert!(output.contains("stopped before the demo was complete"), "{output}");
    }
}

#[test]
fn a_port_that_is_in_use_is_reported() {
    let exporter = Exporter::start(&[]);
    let address = format!("--web.listen-address={}", exporter.address);
    let (code, _, err) = run(&["demo", &address], "");
    assert_eq!(code, 1);
    assert!(err.contains(&format!("cannot listen on {}: ", exporter.address)), "{err}");
}
