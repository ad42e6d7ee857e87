//! The demo page as it is served.

use anyhow::{Result, ensure};
use reqwest::Method;

use crate::node;

#[tokio::test]
async fn the_page_and_its_parts_come_with_their_types_a_policy_and_a_tag() -> Result<()> {
    let node = node(&[]).await?;
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/static/app.js", "text/javascript; charset=utf-8"),
        ("/static/style.css", "text/css; charset=utf-8"),
    ] {
        let answer = node
            .api()
            .send(node.api().anonymous(Method::GET, path))
            .await?;
        ensure!(
            answer.status == 200 && !answer.body.is_empty(),
            "{answer:?}"
        );
        ensure!(
            answer.header("content-type") == Some(kind),
            "{path}: {answer:?}"
        );
        let policy = answer.header("content-security-policy").unwrap_or_default();
        ensure!(
            policy.contains("script-src 'self'") && policy.contains("connect-src"),
            "{policy}"
        );
        let tag = answer.header("etag").unwrap_or_default().to_owned();
        let again = node
            .api()
            .anonymous(Method::GET, path)
            .header("if-none-match", &tag);
        let again = node.api().send(again).await?;
        ensure!(
            again.status == 304 && again.body.is_empty(),
            "{path}: {again:?}"
        );
        let other = node
            .api()
            .anonymous(Method::GET, path)
            .header("if-none-match", "\"other\"");
        ensure!(node.api().send(other).await?.status == 200);
        let head = node
            .api()
            .send(node.api().anonymous(Method::HEAD, path))
            .await?;
        ensure!(
            head.status == 200 && head.body.is_empty(),
            "{path}: {head:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn browsers_are_told_for_every_answer_not_to_guess_its_type() -> Result<()> {
    let node = node(&[]).await?;
    for (method, path, status) in [
        (Method::GET, "/", 200),
        (Method::GET, "/health/live", 200),
        (Method::GET, "/metrics", 200),
        (Method::GET, "/api/v1/nodes", 200),
        (Method::GET, "/nothing", 404),
        (Method::POST, "/", 405),
        (Method::GET, "/ws/echo", 426),
        (Method::GET, "/api/v1/nodes?x", 400),
    ] {
        let answer = node.api().send(node.api().request(method, path)).await?;
        ensure!(answer.status == status, "{path}: {answer:?}");
        let option = answer.header("x-content-type-options");
        ensure!(option == Some("nosniff"), "{path}: {answer:?}");
    }
    let request = node.api().anonymous(Method::GET, "/api/v1/nodes");
    let answer = node.api().send(request).await?;
    ensure!(answer.header("x-content-type-options") == Some("nosniff"));
    Ok(())
}
