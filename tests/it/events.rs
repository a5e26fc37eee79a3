//! A minimal client of event streams.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;
use trading_exporter::clock::monotonic;

use crate::exporter::SOON;

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: Option<String>,
    pub(crate) data: Value,
}

/// An open stream.
pub(crate) struct Events {
    reader: BufReader<TcpStream>,
    /// Received bytes that are not a complete block yet.
    text: String,
}

impl Events {
    /// Opens a stream with this query and these headers. Panics if it is rejected.
    pub(crate) fn open(address: SocketAddr, query: &str, headers: &[&str]) -> Self {
        Self::try_open(address, query, headers).unwrap_or_else(|status| panic!("{status}"))
    }

    /// Opens a stream, or returns the status line of the rejection.
    pub(crate) fn try_open(
        address: SocketAddr,
        query: &str,
        headers: &[&str],
    ) -> Result<Self, String> {
        let mut stream = TcpStream::connect_timeout(&address, SOON).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let headers = headers.iter().fold(String::new(), |all, line| all + line + "\r\n");
        let request =
            format!("GET /api/v1/stream{query} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0, "cut off in the head: {head}");
        }
        let status = head.lines().next().unwrap_or_default().to_owned();
        if !status.contains(" 200 ") {
            return Err(status);
        }
        let head = head.to_ascii_lowercase();
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        Ok(Self { reader, text: String::new() })
    }

    /// The next event of any name, without comments. `None` at the end of the stream.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let deadline = monotonic() + SOON;
        loop {
            assert!(monotonic() < deadline, "no event in time: {:?}", self.text);
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let event = parse(block);
                self.text = rest.to_owned();
                if event.is_some() {
                    return event;
                }
            }
            if !self.read_chunk() {
                return None;
            }
        }
    }

    /// The next event of that name. Others are skipped.
    pub(crate) fn wait_for(&mut self, name: &str) -> Event {
        let deadline = monotonic() + SOON;
        loop {
            assert!(monotonic() < deadline, "no {name} in time");
            let event = self.next().unwrap_or_else(|| panic!("ended before {name}"));
            if event.name == name {
                return event;
            }
        }
    }

    /// Reads one chunk of the body. Returns false for the last one.
    fn read_chunk(&mut self) -> bool {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        let length = usize::from_str_radix(line.trim_end(), 16)
            .unwrap_or_else(|e| panic!("no chunk: {line:?}: {e}"));
        let mut chunk = vec![0; length + 2];
        self.reader.read_exact(&mut chunk).unwrap();
        self.text.push_str(std::str::from_utf8(&chunk[..length]).unwrap());
        length > 0
    }
}

/// Parses a block of lines. `None` if it has only comments or a `retry`.
fn parse(block: &str) -> Option<Event> {
    let field = |name: &str| {
        block
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .map(str::to_owned)
    };
    let data = field("data")?;
    let data = serde_json::from_str(&data).unwrap_or_else(|e| panic!("{e}: {data}"));
    Some(Event { name: field("event")?, id: field("id"), data })
}
