//! `onebot-gateway demo`, as a newcomer runs it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::io::{BufRead, BufReader, Lines, Read};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio_tungstenite::tungstenite::{Message, client};

/// A demo that takes longer than this hangs.
const LIMIT: Duration = Duration::from_mins(1);
const BOTS: [&str; 4] = ["echo", "greeter", "archive", "reverse"];

struct Demo {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

fn demo(arguments: &[&str]) -> Demo {
    let mut child = Command::new(env!("CARGO_BIN_EXE_onebot-gateway"))
        .arg("demo")
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    Demo { child, lines }
}

impl Demo {
    /// The next line that contains `part`.
    fn line_with(&mut self, part: &str) -> String {
        let line = self.lines.find(|line| line.as_ref().unwrap().contains(part));
        line.unwrap_or_else(|| panic!("no line with {part:?}")).unwrap()
    }

    fn terminate(&self) {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// What it still has to say, what it complains about, and how it ends.
    fn rest(self) -> (String, String, ExitStatus) {
        let text = self.lines.map(|line| line.unwrap() + "\n").collect();
        let (complaints, status) = end(self.child);
        (text, complaints, status)
    }
}

fn end(mut child: Child) -> (String, ExitStatus) {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let mut complaints = String::new();
        child.stderr.take().unwrap().read_to_string(&mut complaints).unwrap();
        tell.send((complaints, child.wait().unwrap()))
    });
    told.recv_timeout(LIMIT).expect("the demo ends")
}

/// The numbers behind `name` in the summary.
fn numbers(text: &str, name: &str) -> Vec<u64> {
    let summary = text.split_once("Summary of").unwrap_or_else(|| panic!("no summary in {text}")).1;
    let line = summary.lines().find_map(|line| line.trim_start().strip_prefix(name));
    let line = line.unwrap_or_else(|| panic!("no {name} in {summary}"));
    line.split_whitespace().map_while(|word| word.parse().ok()).collect()
}

#[test]
fn every_promise_is_kept_also_while_the_usual_ports_are_taken() {
    // Whoever has them, they are taken now.
    let _taken = ["127.0.0.1:6700", "127.0.0.1:6701"].map(TcpListener::bind);
    let (text, complaints, status) = demo(&["--for", "3s", "--rate", "20"]).rest();

    assert!(status.success(), "{text}{complaints}");
    assert_eq!(complaints, "");
    assert_eq!(numbers(&text, "connections it saw"), [1]);
    let events = numbers(&text, "events from LLOneBot")[0];
    assert!(events > 0);
    for bot in BOTS {
        let numbers = numbers(&text, bot);
        let [heard, calls, ok, failed, misdelivered] = numbers[..5] else { panic!("{bot}: {numbers:?}") };
        assert_eq!((heard, ok, failed, misdelivered), (events, calls, 0, 0), "{bot}");
        assert_eq!(calls > 0, bot != "archive", "{bot}");
    }
    assert_eq!(text.matches("  kept    ").count(), 5, "{text}");
    assert!(!text.contains("BROKEN"), "{text}");
}

#[test]
fn it_ends_by_itself_after_as_many_events_as_it_is_told() {
    let (text, _, status) = demo(&["--events", "7", "--rate", "100"]).rest();
    assert!(status.success(), "{text}");
    assert_eq!(numbers(&text, "events from LLOneBot"), [7]);
    let shown = text.lines().filter(|line| line.contains("  #")).count();
    assert_eq!(shown, 7, "{text}");
    assert_eq!(text.matches("→ echo, greeter, archive, reverse\n").count(), 7, "{text}");
}

#[test]
fn sigterm_ends_it_with_the_summary() {
    let mut demo = demo(&["--rate", "20"]);
    demo.line_with("#1 ");
    demo.terminate();
    let (text, complaints, status) = demo.rest();
    assert!(status.success(), "{text}{complaints}");
    assert!(numbers(&text, "events from LLOneBot")[0] > 0);
}

#[test]
fn it_ends_quietly_when_nobody_reads_any_more() {
    let mut demo = demo(&["--rate", "20"]);
    demo.line_with("#1 ");
    drop(demo.lines);
    let (complaints, status) = end(demo.child);
    assert!(status.success(), "{complaints}");
    assert_eq!(complaints, "");
}

#[test]
fn a_bot_of_the_user_can_attach_with_what_is_printed() {
    let mut demo = demo(&["--rate", "20"]);
    let word = |line: String| line.split_whitespace().last().unwrap().to_owned();
    let (address, token) = (word(demo.line_with("  address ")), word(demo.line_with("  token ")));
    let io = TcpStream::connect(address.strip_prefix("ws://").unwrap()).unwrap();
    let (mut bot, _) = client(format!("{address}/?access_token={token}"), io).unwrap();
    bot.send(Message::text(r#"{"action":"get_login_info","echo":"1"}"#)).unwrap();
    let mut next = || bot.read().unwrap().into_text().unwrap();
    while !next().contains(r#""user_id":2847190563,"nickname""#) {}

    demo.line_with("yours    attached");
    demo.line_with("yours    calls answered: 1, of them ok: 1");
    while !next().contains(r#""post_type":"message""#) {}
    demo.terminate();
    let (text, complaints, status) = demo.rest();
    assert!(status.success(), "{text}{complaints}");
    let yours = numbers(&text, "yours");
    assert!(yours[0] > 0, "{yours:?}");
    assert_eq!(yours[1..], [1, 1, 0]);
}
