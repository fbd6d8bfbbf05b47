//! Celery's own tools: its command line, and Flower.

use super::Celery;
use super::installed;
use crate::e2e::{eventually, redis};
use anyhow::{Context, bail, ensure};
use bench::http::{self, Connection};
use serde_json::Value;
use std::process::{Child, Stdio};
use std::time::Duration;

const FLOWER_READY_WITHIN: Duration = Duration::from_secs(40);
const FLOWER_ANSWERS_WITHIN: Duration = Duration::from_secs(30);

impl Celery {
    /// Runs `celery -A app …` to its end; returns whether it succeeded and what it printed.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn tool(&self, arguments: &[&str]) -> anyhow::Result<(bool, String)> {
        let mut command = self.command();
        command.args(["-W", "ignore", "-m", "celery", "-A", "app"]).args(arguments).stdin(Stdio::null());
        let output = command.output().with_context(|| format!("run celery {}", arguments.join(" ")))?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
    }

    /// `celery inspect METHOD` of one node; returns its answer.
    ///
    /// # Errors
    /// If the node does not answer.
    pub fn inspect(&self, node: &str, arguments: &[&str]) -> anyhow::Result<Value> {
        self.ask_node("inspect", node, arguments)
    }

    /// `celery control METHOD` of one node; returns its answer.
    ///
    /// # Errors
    /// If the node does not answer.
    pub fn control(&self, node: &str, arguments: &[&str]) -> anyhow::Result<Value> {
        self.ask_node("control", node, arguments)
    }

    fn ask_node(&self, kind: &str, node: &str, arguments: &[&str]) -> anyhow::Result<Value> {
        let (is_ok, said) = self.tool(&[&[kind, "-j", "-t", "10", "-d", node], arguments].concat())?;
        ensure!(is_ok, "celery {kind} {}: {said}", arguments.join(" "));
        // One object for all nodes, or a list with one for each.
        let line = said.lines().find(|line| line.starts_with(['{', '['])).unwrap_or_default();
        let answer: Value = serde_json::from_str(line).with_context(|| format!("celery {kind}: {said}"))?;
        let answers = answer.as_array().cloned().unwrap_or_else(|| vec![answer]);
        let value = answers.iter().find_map(|answer| answer.get(node));
        value.cloned().with_context(|| format!("{node} does not answer: {said}"))
    }

    /// Starts Flower and waits until it serves its pages.
    ///
    /// # Errors
    /// If it is not there and cannot be installed, or does not start.
    pub fn flower(&self) -> anyhow::Result<Flower> {
        installed::flower(&self.version.python)?;
        let port = redis::free_port()?;
        let mut command = self.command();
        command.args(["-m", "celery", "-A", "app", "flower", "--address=127.0.0.1", &format!("--port={port}")]);
        command.env("FLOWER_UNAUTHENTICATED_API", "1").stdin(Stdio::null());
        let log = self.log("flower")?;
        let child = command.stdout(log.try_clone().context("share the log")?).stderr(log).spawn();
        let mut flower = Flower { child: child.context("start Flower")?, port };
        eventually("Flower to serve its pages", FLOWER_READY_WITHIN, || {
            if let Some(status) = flower.child.try_wait().context("look at Flower")? {
                bail!("Flower ended: {status}");
            }
            Ok(flower.request("GET", "/workers?json=1", "").ok().map(|_| ()))
        })?;
        Ok(flower)
    }
}

/// A Flower; it is killed when this is dropped.
pub struct Flower {
    child: Child,
    port: u16,
}

impl Flower {
    /// Returns a page or an answer of its API.
    ///
    /// # Errors
    /// If it is not 200.
    pub fn get(&self, target: &str) -> anyhow::Result<String> {
        self.request("GET", target, "")
    }

    /// # Errors
    /// See `get`; also if the answer is no JSON.
    pub fn json(&self, target: &str) -> anyhow::Result<Value> {
        let text = self.get(target)?;
        serde_json::from_str(&text).with_context(|| format!("read Flower's {target}: {text}"))
    }

    /// Sends a form; returns the answer.
    ///
    /// # Errors
    /// See `get`.
    pub fn post(&self, target: &str, form: &str) -> anyhow::Result<String> {
        self.request("POST", target, form)
    }

    fn request(&self, method: &str, target: &str, form: &str) -> anyhow::Result<String> {
        let headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Connection", "close")];
        let request = http::request(method, target, &headers, form.as_bytes());
        let mut connection = Connection::new(([127, 0, 0, 1], self.port).into(), FLOWER_ANSWERS_WITHIN);
        let response = connection.send(&request).with_context(|| format!("Flower, {method} {target}"))?;
        ensure!(response.status == 200, "Flower, {method} {target}: {}: {}", response.status, response.text());
        Ok(response.text())
    }
}

impl Drop for Flower {
    fn drop(&mut self) {
        // It may have ended already; there is nobody left to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
