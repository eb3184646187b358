//! The gateway as a process of its own, whose memory is nobody else's.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use super::{TOKEN, cpu_of};

/// The real program, until this is dropped.
pub struct Program {
    process: Child,
    /// Kept open: a program that cannot write its log is not the real one.
    _log: BufReader<ChildStderr>,
    pub address: SocketAddr,
}

impl Program {
    /// Starts it between `upstream` and one consumer whose token is [`TOKEN`]. `consumers` is TOML
    /// for more of them.
    pub fn start(upstream: SocketAddr, consumers: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("gateway.toml");
        let mut config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nmax_connections = 65536\n\
             [admin]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"json\"\nlevel = \"onebot_gateway::app=info\"\n\
             [upstream.main]\ndial = \"ws://{upstream}/\"\n[consumer.bench]\ntoken = \"{TOKEN}\"\n"
        );
        writeln!(config, "{consumers}").unwrap();
        fs::write(&file, config).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_onebot-gateway"))
            .arg("--config")
            .arg(&file)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("\"address\"") {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "the gateway did not start");
        }
        let fields: serde_json::Value = serde_json::from_str(&line).unwrap();
        let address = fields["address"].as_str().unwrap().parse().unwrap();
        Self { process, _log: log, address }
    }

    /// CPU time of all its threads so far.
    pub fn cpu(&self) -> Duration {
        cpu_of(&format!("/proc/{}/task", self.process.id()), |_| true)
    }

    /// Bytes of memory it has now.
    pub fn resident(&self) -> f64 {
        self.status("VmRSS:")
    }

    /// The most it ever had.
    pub fn peak(&self) -> f64 {
        self.status("VmHWM:")
    }

    fn status(&self, key: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
