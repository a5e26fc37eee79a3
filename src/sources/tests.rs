//! Probes against real servers on loopback that answer, refuse, hang, trickle and redirect.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::config::SecretUrl;
use crate::domain::ids::Component;

const SECOND: Duration = Duration::from_secs(1);
/// Timeout of everything that must happen.
const DEADLINE: Duration = Duration::from_secs(20);

fn context() -> ProbeContext {
    let clock = AtomicU64::new(0);
    ProbeContext {
        // Each reading of the clock is one millisecond later.
        elapsed: Arc::new(move || Duration::from_millis(clock.fetch_add(1, Ordering::Relaxed))),
        quote_age: Arc::new(|_| None),
        blocking: Arc::new(|call| call()),
    }
}

fn probe(kind: ProbeKind, timeout: Duration) -> Probe {
    let component = Component::new("x").expect("a name");
    Probe { component, interval: 30 * SECOND, timeout, kind }
}

async fn run(kind: ProbeKind, timeout: Duration) -> (bool, String) {
    let result = ProbeRunner::new(probe(kind, timeout), context()).run().await;
    assert_eq!(result.interval, 30 * SECOND);
    assert_eq!(result.latency, Duration::from_millis(1));
    (result.passed, result.message)
}

fn http(address: SocketAddr, statuses: &[u16]) -> ProbeKind {
    let url = SecretUrl::new(format!("http://{address}/health?key=s3cret"));
    ProbeKind::Http { url, statuses: statuses.to_vec() }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// Accepts one connection and reads the head of its request.
async fn accept(listener: &TcpListener) -> (TcpStream, String) {
    let (mut stream, _) = listener.accept().await.expect("a connection");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a byte"));
    }
    (stream, String::from_utf8(head).expect("text"))
}

/// Answers one request with `answer` and closes.
async fn answer(listener: &TcpListener, answer: &str) -> String {
    let (mut stream, head) = accept(listener).await;
    stream.write_all(answer.as_bytes()).await.expect("sent");
    head
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("in time")
}

#[tokio::test]
async fn the_http_status_decides() {
    let check = async |status: &str, statuses: &[u16], expect: (bool, &str)| {
        let (listener, address) = listen().await;
        let text = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
        let (head, got) = in_time(async {
            tokio::join!(answer(&listener, &text), run(http(address, statuses), SECOND))
        })
        .await;
        assert_eq!((got.0, got.1.as_str()), expect, "{status}");
        assert!(head.starts_with("GET /health?key=s3cret HTTP/1.1\r\n"), "{head}");
    };
    check("200", &[], (true, "answered 200")).await;
    check("204", &[], (true, "answered 204")).await;
    check("401", &[], (false, "answered 401")).await;
    check("503", &[], (false, "answered 503")).await;
    check("401", &[200, 401], (true, "answered 401")).await;
    check("204", &[200, 401], (false, "answered 204")).await;
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (listener, address) = listen().await;
    let text = format!(
        "HTTP/1.1 302 X\r\nLocation: http://{address}/elsewhere\r\nContent-Length: 0\r\n\r\n"
    );
    let (_, got) =
        in_time(async { tokio::join!(answer(&listener, &text), run(http(address, &[]), SECOND)) })
            .await;
    assert_eq!(got, (false, String::from("answered 302")));
    // There is no second request.
    let again = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(again.is_err());
}

#[tokio::test]
async fn failures_are_reported_without_the_url() {
    let check = async |url: String| {
        let kind = ProbeKind::Http { url: SecretUrl::new(url), statuses: vec![] };
        let (passed, message) = in_time(run(kind, 5 * SECOND)).await;
        assert!(!passed && !message.is_empty(), "{message}");
        assert!(!message.contains("s3cret"), "{message}");
        message
    };
    let (listener, address) = listen().await;
    drop(listener);
    let refused = check(format!("http://{address}/?key=s3cret")).await;
    assert!(refused.contains("refused"), "{refused}");
    check(String::from("no url s3cret")).await;
    check(String::from("http://host.invalid/?key=s3cret")).await;

    // A server that speaks another protocol, for http and https.
    for scheme in ["http", "https"] {
        let (listener, address) = listen().await;
        let babble = async {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            stream.write_all(b"220 smtp.example ESMTP\r\n").await.expect("sent");
            // Wait until the probe closes: closing first could reset the connection.
            stream.read_to_end(&mut Vec::new()).await.unwrap_or(0);
        };
        let url = format!("{scheme}://{address}/?key=s3cret");
        in_time(async { tokio::join!(babble, check(url)) }).await;
    }
}

#[tokio::test]
async fn servers_that_hang_or_trickle_time_out() {
    let timeout = Duration::from_millis(100);
    let timed_out = (false, String::from("no result within 0.1 s"));

    let (listener, address) = listen().await;
    let got = in_time(async {
        tokio::select! {
            got = run(http(address, &[]), timeout) => got,
            () = async { let _held = accept(&listener).await; std::future::pending().await } => {
                panic!("the server never answers")
            }
        }
    })
    .await;
    assert_eq!(got, timed_out, "the server accepts the request and hangs");

    let (listener, address) = listen().await;
    let trickle = async {
        let (mut stream, _) = accept(&listener).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nX-Slow: ").await.expect("sent");
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        loop {
            ticks.tick().await;
            if stream.write_all(b"x").await.is_err() {
                return;
            }
        }
    };
    let (got, ()) =
        in_time(async { tokio::join!(run(http(address, &[]), timeout), trickle) }).await;
    assert_eq!(got, timed_out, "the head never ends");
}

#[tokio::test]
async fn a_body_without_end_is_not_read() {
    let (listener, address) = listen().await;
    let pour = async {
        let (mut stream, _) = accept(&listener).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("sent");
        let mut sent = 0;
        while stream.write_all(&[b'x'; 8_192]).await.is_ok() {
            sent += 8_192_u64;
        }
        sent
    };
    let (got, sent) =
        in_time(async { tokio::join!(run(http(address, &[]), 10 * SECOND), pour) }).await;
    assert_eq!(got, (true, String::from("answered 200")));
    assert!(sent < 64 << 20, "only what the buffers of the sockets hold: {sent}");
}

#[tokio::test]
async fn tcp_connections_are_accepted_or_refused() {
    let (listener, address) = listen().await;
    let kind = || ProbeKind::Tcp { address: address.to_string() };
    assert_eq!(in_time(run(kind(), SECOND)).await, (true, String::from("connected")));
    drop(listener);
    let (passed, message) = in_time(run(kind(), SECOND)).await;
    assert!(!passed && message.contains("refused"), "{message}");
    let kind = ProbeKind::Tcp { address: String::from("host.invalid:1") };
    assert!(!in_time(run(kind, 5 * SECOND)).await.0);
}

#[tokio::test]
async fn disks_are_missing_full_or_have_room() {
    let check = async |path: &str, free_bytes_min: u64, passes: bool| {
        let path = PathBuf::from(path);
        let kind = ProbeKind::Disk { path, free_ratio_min: 0.0, free_bytes_min };
        let (passed, message) = run(kind, SECOND).await;
        assert_eq!(passed, passes, "{message}");
        message
    };
    check("/", 0, true).await;
    check("/", u64::MAX, false).await;
    let message = check("/nowhere/at/all", 0, false).await;
    assert!(message.contains("No such file"), "{message}");
    let message = check("/proc", 0, false).await;
    assert!(message.contains("no size"), "{message}");
}

#[tokio::test]
async fn a_hanging_file_system_blocks_one_call() {
    type Call = Box<dyn FnOnce() + Send>;
    let held: Arc<Mutex<Vec<Call>>> = Arc::default();
    let keep = Arc::clone(&held);
    let context =
        ProbeContext { blocking: Arc::new(move |call| keep.lock().push(call)), ..context() };
    let path = PathBuf::from("/");
    let kind = ProbeKind::Disk { path, free_ratio_min: 0.0, free_bytes_min: 0 };
    let checker = ProbeRunner::new(probe(kind, Duration::from_millis(20)), context);
    assert_eq!(checker.run().await.message, "no result within 0.02 s");
    for _ in 0..3 {
        let result = checker.run().await;
        assert_eq!(result.message, "the call of an earlier check has not returned");
        assert!(!result.passed);
    }
    let call = held.lock().pop().expect("one call");
    assert!(held.lock().is_empty(), "only one call");
    call();
    // The call has returned, so the next check makes another. This test drops it without running it.
    let dropped = async {
        while held.lock().pop().is_none() {
            tokio::task::yield_now().await;
        }
    };
    let (result, ()) = in_time(async { tokio::join!(checker.run(), dropped) }).await;
    assert_eq!(result.message, "the check was not run");
}

#[tokio::test]
async fn the_memory_of_this_host_is_read() {
    let available = |available_ratio_min| ProbeKind::Memory { available_ratio_min };
    let (passed, message) = run(available(0.0), SECOND).await;
    assert!(passed && message.contains("% available"), "{message}");
    assert!(!run(available(1.0), SECOND).await.0, "some memory is always in use");
}

#[tokio::test]
async fn the_age_of_a_feed_decides() {
    let check = async |account: Option<&str>, age: Option<u64>, expect: (bool, &str)| {
        let asked = account.map(String::from);
        let quote_age: QuoteAge = Arc::new(move |account| {
            assert_eq!(account, asked.as_deref());
            age.map(Duration::from_millis)
        });
        let kind = ProbeKind::Feed { account: account.map(String::from), age_max: SECOND };
        let checker =
            ProbeRunner::new(probe(kind, SECOND), ProbeContext { quote_age, ..context() });
        let result = checker.run().await;
        assert_eq!((result.passed, result.message.as_str()), expect);
    };
    check(None, None, (false, "no quote yet")).await;
    check(None, Some(1_000), (true, "the newest quote is 1.0 s old")).await;
    check(Some("paper"), Some(1_500), (false, "the newest quote is 1.5 s old")).await;
}

#[tokio::test]
async fn a_hanging_probe_delays_no_other() {
    let (_listener, address) = listen().await;
    let slow = probe(http(address, &[]), DEADLINE);
    let mut quick = probe(ProbeKind::Memory { available_ratio_min: 0.0 }, SECOND);
    quick.interval = Duration::from_millis(5);
    let (sender, mut results) = tokio::sync::mpsc::channel(1);
    let submit = |entry: Entry| {
        let sender = sender.clone();
        async move { sender.send(entry).await.expect("a receiver") }
    };
    let (slow, quick) = (ProbeRunner::new(slow, context()), ProbeRunner::new(quick, context()));
    let three = async {
        for _ in 0..3 {
            let entry = results.recv().await.expect("a result");
            assert!(matches!(entry, Entry::Check(check) if check.passed));
        }
    };
    in_time(async {
        tokio::select! {
            () = schedule(slow, submit) => panic!("it never ends"),
            () = schedule(quick, submit) => panic!("it never ends"),
            () = three => {}
        }
    })
    .await;
}

#[test]
fn messages_are_cut_at_character_boundaries() {
    assert_eq!(cut("é".repeat(300)).len(), 512);
    assert_eq!(cut(format!("x{}", "é".repeat(300))).len(), 511);
    assert_eq!(root_cause(&io::Error::other(io::Error::other("inner"))), "inner");
}
