//! The program itself, as a process.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tempfile::TempDir;

use super::metrics::Admin;
use super::{eventually, within};

/// A running `onebot-gateway run`; dropping it kills it.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    _directory: TempDir,
    pub address: SocketAddr,
    pub admin: Admin,
}

/// What every configuration of a test begins with: free ports and a log that can be read.
pub const PORTS_AND_LOG: &str = "
[server]
listen = \"127.0.0.1:0\"
[admin]
listen = \"127.0.0.1:0\"
[log]
format = \"json\"
";

impl Daemon {
    /// Starts it with this file, and returns when it listens.
    pub async fn start(toml: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("gateway.toml");
        std::fs::write(&file, toml).unwrap();
        let mut child = program()
            .args(["run", "--config"])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::<Mutex<Vec<String>>>::default();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let collected = Arc::clone(&log);
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).for_each(|line| collected.lock().unwrap().push(line));
        });
        let nowhere = super::anywhere();
        let mut daemon = Self { child, log, _directory: directory, address: nowhere, admin: Admin(nowhere) };
        let listening = daemon.logged("listening").await;
        daemon.address = listening["address"].as_str().unwrap().parse().unwrap();
        daemon.admin = Admin(listening["admin"].as_str().unwrap().parse().unwrap());
        daemon
    }

    /// Waits for a line of the log whose message contains `text`, and returns it.
    pub async fn logged(&self, text: &str) -> Value {
        let mut found = Value::Null;
        eventually(&format!("a log line with {text:?}"), async || {
            let line = self.lines().into_iter().find(|line| message(line).contains(text));
            found = line.unwrap_or_default();
            !found.is_null()
        })
        .await;
        found
    }

    /// The log so far, a JSON object each.
    pub fn lines(&self) -> Vec<Value> {
        self.log.lock().unwrap().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The log so far, as it was written.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    pub async fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the process to end", async || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap()
    }

    /// A line of `/proc/PID/status` in bytes, such as `VmRSS` now and `VmHWM` at most so far.
    pub fn memory(&self, line: &str) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let value = status.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(':')).unwrap();
        value.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn message(line: &Value) -> &str {
    line["message"].as_str().unwrap_or_default()
}

/// The program, without anything from this process's environment that would configure it.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onebot-gateway"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ONEBOT_GATEWAY")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// Runs a command that ends by itself.
pub async fn output(arguments: &[&str]) -> Output {
    let mut command = program();
    command.args(arguments);
    let run = tokio::task::spawn_blocking(move || command.output().unwrap());
    within("the program to end", run).await.unwrap()
}
