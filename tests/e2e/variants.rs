//! Redis as users have it: nodes and unmodified Python over every kind of host, side by side.

use std::time::Duration;

use anyhow::{Context, Result};
use fanfare_rig::{
    Cluster, ClusterOptions, Program, PythonBackend, PythonLayer, PythonOptions, RedisCluster,
    RedisOptions, RedisServer, documented_rules, eventually,
};
use serde_json::json;

use crate::support::{GROUP_ROUTE, SOON, said, say};

/// For Python to get what may never come, before it is published again.
const SHORT: Duration = Duration::from_millis(200);

macro_rules! on_both {
    ($($name:ident,)+) => {
        on_both! { pubsub, PubSub: $($name,)+ }
        on_both! { core, Core: $($name,)+ }
    };
    ($format:ident, $backend:ident: $($name:ident,)+) => {
        mod $format {
            $(#[tokio::test]
            async fn $name() -> anyhow::Result<()> {
                super::$name(fanfare_rig::PythonBackend::$backend).await
            })+
        }
    };
}

on_both! {
    tls_with_client_certificates_and_a_password,
    tls_of_an_unknown_authority,
    a_unix_socket_with_a_password,
    valkey,
    users_with_the_documented_rules,
    every_documented_rule_for_django_is_needed,
}

fn format_of(backend: PythonBackend) -> &'static str {
    match backend {
        PythonBackend::PubSub => "pubsub",
        PythonBackend::Core => "core",
    }
}

fn rules(backend: PythonBackend, user: &str) -> Result<Vec<String>> {
    let heading = match backend {
        PythonBackend::PubSub => "Pub/sub",
        PythonBackend::Core => "Core",
    };
    documented_rules(heading, user)
}

fn add_user(redis: &RedisServer, user: &str, rules: &[String]) -> Result<()> {
    let rules: Vec<_> = rules.iter().map(String::as_str).collect();
    redis.add_user(user, "pw", &rules)
}

async fn node(backend: PythonBackend, url: &str) -> Result<Cluster> {
    let options = ClusterOptions::new()
        .redis(url)
        .set("layer.format", format_of(backend))
        .config(GROUP_ROUTE);
    options.start().await
}

/// What Python and a node say reaches the other, over hosts that each spells in its way.
async fn both_ways(backend: PythonBackend, node_url: &str, python_url: &str) -> Result<()> {
    let cluster = node(backend, node_url).await?;
    let mut python = PythonLayer::with(&PythonOptions::new(backend, [python_url])).await?;
    let mut socket = cluster[0].connect("/g/red").await?;
    python.group_send("red", &say("from Python")).await?;
    assert_eq!(socket.text().await?, said("from Python"));
    python.send(socket.channel(), &say("to one")).await?;
    assert_eq!(socket.text().await?, said("to one"));
    let member = python.join("red").await?;
    // Python does not wait for Redis to acknowledge its SUBSCRIBE: the first ones may be missed.
    eventually(SOON, "what the socket says, in Python", async || {
        socket.send_text("from the socket").await?;
        python.receive_within(&member, SHORT).await
    })
    .await
    .map(|event| assert_eq!(event, say("from the socket")))
}

async fn same_url(backend: PythonBackend, options: RedisOptions) -> Result<RedisServer> {
    let redis = RedisServer::with(options)?;
    both_ways(backend, &redis.url(), &redis.url()).await?;
    Ok(redis)
}

async fn tls_with_client_certificates_and_a_password(backend: PythonBackend) -> Result<()> {
    let redis = RedisServer::with(RedisOptions {
        tls: true,
        password: Some("pw".into()),
        arguments: ["--tls-auth-clients", "yes"].map(String::from).to_vec(),
        ..RedisOptions::default()
    })?;
    let (certificate, key) = (redis.certificate(), redis.key());
    let url = format!(
        "{}&ssl_certfile={}&ssl_keyfile={}",
        redis.url(),
        certificate.display(),
        key.display()
    );
    both_ways(backend, &url, &url).await
}

async fn tls_of_an_unknown_authority(backend: PythonBackend) -> Result<()> {
    let redis = RedisServer::with(RedisOptions {
        tls: true,
        ..RedisOptions::default()
    })?;
    let url = format!("rediss://127.0.0.1:{}?ssl_cert_reqs=none", redis.port());
    both_ways(backend, &url, &url).await
}

async fn a_unix_socket_with_a_password(backend: PythonBackend) -> Result<()> {
    let redis = RedisServer::with(RedisOptions {
        password: Some("pw".into()),
        ..RedisOptions::default()
    })?;
    both_ways(backend, &redis.unix_url(), &redis.unix_url()).await
}

async fn valkey(backend: PythonBackend) -> Result<()> {
    let options = RedisOptions {
        program: Program::Valkey,
        ..RedisOptions::default()
    };
    let redis = same_url(backend, options).await?;
    both_ways(backend, &redis.unix_url(), &redis.url()).await
}

async fn users_with_the_documented_rules(backend: PythonBackend) -> Result<()> {
    for program in [Program::Redis, Program::Valkey] {
        let redis = RedisServer::with(RedisOptions {
            program,
            ..RedisOptions::default()
        })?;
        let rules = |user| rules(backend, user);
        add_user(&redis, "fanfare", &rules("fanfare")?)?;
        let mut django = rules("django")?;
        add_user(&redis, "plain-django", &django)?;
        if program == Program::Valkey {
            django.push("+client|setinfo".into());
        }
        add_user(&redis, "django", &django)?;
        let url = |user| redis.user_url(user, "pw");
        both_ways(backend, &url("fanfare"), &url("django")).await?;
        whole_life(backend, &url("django")).await?;
        assert_eq!(redis.denials()?, [""; 0]);
        whole_life(backend, &url("plain-django")).await?;
        let denials = redis.denials()?;
        let told = denials.iter().all(|it| it.contains("client|setinfo"));
        assert!(told, "{denials:?}");
        assert_eq!(denials.is_empty(), program == Program::Redis);
    }
    Ok(())
}

/// Django may be kept to the channels of its prefix.
#[tokio::test]
async fn pubsub_channels_of_the_prefix_are_enough_for_django() -> Result<()> {
    let redis = RedisServer::start()?;
    let rules = rules(PythonBackend::PubSub, "django")?.into_iter();
    let rules: Vec<_> = rules
        .map(|rule| rule.replace("allchannels", "&asgi*"))
        .collect();
    add_user(&redis, "django", &rules)?;
    whole_life(PythonBackend::PubSub, &redis.user_url("django", "pw")).await?;
    assert_eq!(redis.denials()?, [""; 0]);
    Ok(())
}

/// Everything that a layer in Python does.
async fn whole_life(backend: PythonBackend, url: &str) -> Result<()> {
    let mut python = PythonLayer::with(&PythonOptions::new(backend, [url])).await?;
    let member = python.join("red").await?;
    eventually(SOON, "a group's event", async || {
        python.group_send("red", &say("to the group")).await?;
        python.receive_within(&member, SHORT).await
    })
    .await?;
    python.send(&member, &say("to one")).await?;
    python.receive(&member).await?;
    python.group_discard("red", &member).await?;
    python.flush().await
}

async fn every_documented_rule_for_django_is_needed(backend: PythonBackend) -> Result<()> {
    let all = rules(backend, "django")?;
    for rule in &all {
        let redis = RedisServer::start()?;
        let rules: Vec<_> = all.iter().filter(|it| *it != rule).cloned().collect();
        add_user(&redis, "django", &rules)?;
        let url = redis.user_url("django", "pw");
        let life = async {
            // Whatever becomes of it, the denial decides.
            let _ = whole_life(backend, &url).await;
            std::future::pending::<()>().await;
        };
        let what = format!("a denial without {rule}");
        let denied = eventually(SOON, &what, async || {
            Ok((!redis.denials()?.is_empty()).then_some(()))
        });
        tokio::select! {
            () = life => {}
            denied = denied => denied?,
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_redis_cluster_serves_the_pubsub_format() -> Result<()> {
    let redis = RedisCluster::start().await?;
    both_ways(PythonBackend::PubSub, &redis.url(0)?, &redis.url(1)?).await
}

#[tokio::test]
async fn a_redis_cluster_is_refused_at_the_start_with_the_core_format() -> Result<()> {
    let redis = RedisCluster::start().await?;
    let cluster = ClusterOptions::new()
        .redis(&redis.url(0)?)
        .set("layer.format", "core")
        .unready()
        .start()
        .await?;
    let node = &cluster[0];
    let again = "fanfare_layer_reconnects_total";
    node.metric_when(again, &[], SOON, |count| count >= 2.0)
        .await?;
    let log = node.logged("Redis Cluster").await?;
    let lines: Vec<_> = log
        .lines()
        .filter(|line| line.contains("Redis Cluster"))
        .collect();
    assert_eq!(lines.len(), 1, "{log}");
    let line = lines.first().context("a line")?;
    for part in ["WARN", "set layer.format to", "pubsub"] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert_eq!(node.api().status("/health/ready").await, Some(503));
    let answer = node
        .api()
        .post("/api/v1/broadcast", &json!({"type": "say"}))
        .await?;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("Redis Cluster"), "{}", answer.body);
    Ok(())
}

/// What renewals and a reconnect need is among the documented rules too.
#[tokio::test]
async fn the_rules_of_core_suffice_where_every_session_is_a_member() -> Result<()> {
    let redis = RedisServer::start()?;
    add_user(&redis, "fanfare", &rules(PythonBackend::Core, "fanfare")?)?;
    let cluster = ClusterOptions::new()
        .redis(&redis.user_url("fanfare", "pw"))
        .set("layer.format", "core")
        .set("layer.core.members", "session")
        .set("layer.core.group_expiry_ms", 4000)
        .config(GROUP_ROUTE)
        .start()
        .await?;
    let mut python = PythonLayer::with(&PythonOptions {
        group_expiry: Some(4),
        ..PythonOptions::core([redis.url()])
    })
    .await?;
    let out = cluster[0].connect("/g/red").await?;
    let mut kept = cluster[0].connect("/g/red").await?;
    python.group_discard("red", out.channel()).await?;
    let score = || -> Result<f64> {
        let score = redis.cli(&["ZSCORE", "asgi:group:red", kept.channel()])?;
        Ok(redis::from_redis_value(score)?)
    };
    let joined = score()?;
    eventually(SOON, "a renewal", async || {
        Ok((score()? > joined).then_some(()))
    })
    .await?;
    redis.cli(&["CLIENT", "KILL", "USER", "fanfare"])?;
    let reconnected = "fanfare_layer_reconnects_total";
    eventually(SOON, "the reconnect", async || {
        let back = cluster[0].metric(reconnected, &[]).await? >= 1.0;
        let up = cluster[0].metric("fanfare_layer_up", &[]).await? == 1.0;
        Ok((back && up).then_some(()))
    })
    .await?;
    python.group_send("red", &say("to who is left")).await?;
    assert_eq!(kept.text().await?, said("to who is left"));
    let members = redis.cli(&["ZRANGE", "asgi:group:red", "0", "-1"])?;
    let members: Vec<String> = redis::from_redis_value(members)?;
    assert_eq!(members, [kept.channel()]);
    assert_eq!(redis.denials()?, [""; 0]);
    Ok(())
}
