//! `/api/v1`: publishing, and what this node knows about itself.

use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::{HttpRequest, HttpResponse, web};
use fanfare_layer::State;
use fanfare_node::Node;
use fanfare_protocol::GroupName;
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::audit::{Publisher, Publishing};
use super::body::Body;
use super::publish::{self, Publication};
use super::{Shared, auth, batch, postable, readable};
use fanfare_web::{Address, Code, Refusal, has_utf8_path};

/// How long the node of a session may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(1);

pub(crate) fn configure(app: &mut web::ServiceConfig) {
    let api = web::scope("/api/v1")
        .service(postable("/groups/{group}/events", web::to(to_group)))
        .service(postable("/channels/{channel}/events", web::to(to_channel)))
        .service(readable("/channels/{channel}", web::to(session)))
        .service(postable("/users/{user}/events", web::to(to_user)))
        .service(postable("/broadcast", web::to(to_everyone)))
        .service(postable("/batch", web::to(batch)))
        .service(readable("/nodes", web::to(nodes)))
        .service(readable("/groups", web::to(groups)))
        .service(readable("/groups/{group}", web::to(group)))
        .default_service(web::to(not_found))
        .wrap(from_fn(auth::require_key));
    app.service(api);
}

async fn to_group(
    request: HttpRequest,
    body: web::Payload,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, Refusal> {
    let name = parameter(&request, "group", Code::InvalidGroup)?;
    publish_one(&request, body, &shared, Address::Group(&name)).await
}

async fn to_channel(
    request: HttpRequest,
    body: web::Payload,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, Refusal> {
    let name = parameter(&request, "channel", Code::InvalidChannel)?;
    publish_one(&request, body, &shared, Address::Channel(&name)).await
}

async fn to_user(
    request: HttpRequest,
    body: web::Payload,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, Refusal> {
    let id = parameter(&request, "user", Code::InvalidUser)?;
    publish_one(&request, body, &shared, Address::User(&id)).await
}

async fn to_everyone(
    request: HttpRequest,
    body: web::Payload,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, Refusal> {
    publish_one(&request, body, &shared, Address::Everyone).await
}

async fn publish_one(
    request: &HttpRequest,
    body: web::Payload,
    shared: &Shared,
    address: Address<'_>,
) -> Result<HttpResponse, Refusal> {
    let target = publish::target(address, &shared.node)?;
    let exclude = publish::excluded_in_query(request.query_string(), &shared.node)?;
    let body = Body::read(request, body, shared).await?;
    let event = publish::event(&body.bytes)?;
    let publishing = Publishing::new(address, event.event_type(), body.bytes.len());
    let publication = Publication {
        target,
        event,
        exclude,
    };
    let outcome = publication.publish(&shared.node).await;
    let outcome = outcome.map_err(Refusal::from);
    let publisher = Publisher::of(request, shared);
    publisher.tell(publishing.as_ref(), outcome.as_ref().copied());
    outcome?;
    Ok(HttpResponse::Accepted().json(json!({ "published": 1 })))
}

async fn batch(
    request: HttpRequest,
    body: web::Payload,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, Refusal> {
    publish::no_parameters(request.query_string())?;
    let body = Body::read(&request, body, &shared).await?;
    let publisher = Publisher::of(&request, &shared);
    let results = batch::publish(&body.bytes, &shared.node, &publisher).await?;
    Ok(HttpResponse::Ok().json(json!({ "results": results })))
}

async fn nodes(request: HttpRequest, shared: web::Data<Shared>) -> Result<HttpResponse, Refusal> {
    publish::no_parameters(request.query_string())?;
    let node = &shared.node;
    let status = node.status();
    let state = match status.state {
        State::Connecting => "connecting",
        State::Up => "up",
        State::Down => "down",
    };
    let this = json!({
        "id": node.id().to_string(),
        "name": shared.settings.node.name,
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": shared.started.elapsed().as_secs(),
        "sessions": node.sessions(),
        "groups": node.group_count(),
        "draining": shared.is_draining(),
        "layer": { "state": state, "since_seconds": status.since.elapsed().as_secs() },
    });
    Ok(HttpResponse::Ok().json(json!({ "scope": "node", "nodes": [this] })))
}

async fn groups(request: HttpRequest, shared: web::Data<Shared>) -> Result<HttpResponse, Refusal> {
    publish::no_parameters(request.query_string())?;
    let groups: Vec<_> = own_groups(&shared.node)
        .iter()
        .map(|(group, members)| json!({ "group": group.as_str(), "members": members }))
        .collect();
    Ok(HttpResponse::Ok().json(json!({ "scope": "node", "groups": groups })))
}

/// The groups that applications made, without those of everyone and of single users.
fn own_groups(node: &Node) -> Vec<(GroupName, usize)> {
    let mut groups = node.groups();
    groups.retain(|(group, _)| !group.as_str().starts_with("fanfare."));
    groups
}

async fn group(request: HttpRequest, shared: web::Data<Shared>) -> Result<HttpResponse, Refusal> {
    publish::no_parameters(request.query_string())?;
    let name = parameter(&request, "group", Code::InvalidGroup)?;
    let group = GroupName::parse(&name)
        .map_err(|error| Refusal::name(Code::InvalidGroup, "group", &error))?;
    let members = shared.node.members(&group);
    let body = json!({ "scope": "node", "group": group.as_str(), "members": members });
    Ok(HttpResponse::Ok().json(body))
}

/// The session that has a channel: how an application checks a channel that a client names.
async fn session(request: HttpRequest, shared: web::Data<Shared>) -> Result<HttpResponse, Refusal> {
    publish::no_parameters(request.query_string())?;
    let name = parameter(&request, "channel", Code::InvalidChannel)?;
    let address = Address::Channel(&name);
    let channel = shared.node.naming().channel(&name);
    let channel = channel.map_err(|error| address.refuse(&error))?;
    let found = shared.node.find_session(&channel, ANSWER_TIME).await?;
    let Some(session) = found else {
        let message = "no session has this channel";
        return Err(Refusal::new(Code::UnknownChannel, message).at("channel"));
    };
    Ok(HttpResponse::Ok().json(json!({
        "channel": session.channel.as_str(),
        "node": session.node.to_string(),
        "user": session.user,
    })))
}

async fn not_found() -> Result<HttpResponse, Refusal> {
    Err(Refusal::new(
        Code::NotFound,
        "the API has nothing at this path",
    ))
}

/// A parameter of the path, percent-decoded.
fn parameter(request: &HttpRequest, name: &str, code: Code) -> Result<String, Refusal> {
    let raw = request.match_info().get(name).unwrap_or_default();
    match percent_decode_str(raw).decode_utf8() {
        Ok(text) if has_utf8_path(request) => Ok(text.into_owned()),
        _ => Err(Refusal::new(code, format!("{raw:?} is not UTF-8")).at(name)),
    }
}
