//! Tokens and content lists, made and changed from outside.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Client, Server, folder};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use swarmlet_core::wire::{Refusal, ToClient};
use swarmlet_signaller::Config;

const SITE: &str = "https://shop.example";

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swarmlet-signaller"));
    command.args(arguments);
    command
}

/// A process that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn printed(arguments: &[&str]) -> String {
    let output = program(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn is_refused(answer: &ToClient) -> bool {
    matches!(answer, ToClient::Refused { reason: Refusal::Token, .. })
}

async fn client(server: &Server, origin: &str) -> Client {
    server.dial_from(Some(origin), Some("swarmlet.1")).await.unwrap()
}

#[tokio::test]
async fn tokens_of_the_command_line_open_the_door_for_their_site() {
    let secret = printed(&["token", "--new-secret"]);
    assert!(secret.len() >= 43);
    let keys = printed(&["token", "--new-key"]);
    let public = keys.split_whitespace().last().unwrap().to_owned();
    let root = folder("tokens", &[("secret", secret.as_bytes()), ("key", keys.as_bytes())]);
    let config = format!("[tokens]\nsecrets = ['file:{}']\n", root.join("secret").display());
    std::fs::write(root.join("config.toml"), config).unwrap();
    let path = |name: &str| root.join(name).to_str().unwrap().to_owned();
    let by_secret = printed(&["token", "--site", SITE, "--config", &path("config.toml")]);
    let by_key = printed(&["token", "--site", SITE, "--key", &path("key"), "--net", "127.0.0.0/8"]);
    let elsewhere = printed(&["token", "--site", SITE, "--key", &path("key"), "--net", "10.0.0.0/8"]);

    let mut config = Config::default();
    config.tokens.secrets = vec![secret.as_str().into()];
    config.tokens.public_keys = vec![public];
    let server = Server::start(config).await;
    for (number, token) in [(1, &by_secret), (2, &by_key), (3, &by_secret)] {
        let answer = client(&server, SITE).await.hello_with(number, token).await;
        assert!(matches!(answer, ToClient::Welcome { .. }), "{answer:?}");
    }
    let expired = printed(&["token", "--site", SITE, "--key", &path("key"), "--expires", "100000"]);
    for (origin, token) in
        [(SITE, ""), (SITE, &expired), (SITE, &elsewhere), ("https://other.example", &by_secret)]
    {
        let mut client = client(&server, origin).await;
        let answer = client.hello_with(9, token).await;
        assert!(is_refused(&answer), "{origin} {token}: {answer:?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn sighup_brings_new_rules_in_and_a_mistake_changes_nothing() {
    let root = folder("reload", &[("config.toml", b"drain_seconds = 1")]);
    let path = root.join("config.toml");
    let mut command = program(&["--addr", "127.0.0.1:0", "--config", path.to_str().unwrap()]);
    let mut child = Running(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(child.0.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut line = |word: &str| lines.find(|line| line.contains(word)).unwrap();
    let listening = line("listening");
    let addr = listening.split("http://").nth(1).unwrap().split('/').next().unwrap();
    let server = Server::elsewhere(addr.parse().unwrap());
    let hup = || {
        assert!(Command::new("kill").args(["-HUP", &child.0.id().to_string()]).status().unwrap().success());
    };
    let mut early = client(&server, SITE).await;
    assert!(matches!(early.hello_with(1, "").await, ToClient::Welcome { .. }));

    std::fs::write(
        &path,
        "addr = '127.0.0.1:1'\ndrain_seconds = 1\n[tokens]\nsecrets = ['sixteen letters.']",
    )
    .unwrap();
    hup();
    line("read again");
    assert!(is_refused(&client(&server, SITE).await.hello_with(2, "").await));
    let token = printed(&["token", "--site", SITE, "--config", path.to_str().unwrap()]);
    assert!(matches!(client(&server, SITE).await.hello_with(3, &token).await, ToClient::Welcome { .. }));
    early.announce().await;

    std::fs::write(&path, "drain_secnds = 1").unwrap();
    hup();
    assert!(line("nothing changed").contains("drain_secnds"));
    assert!(is_refused(&client(&server, SITE).await.hello_with(4, "").await), "the rules of before");
}
