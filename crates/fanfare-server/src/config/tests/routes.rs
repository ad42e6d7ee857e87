//! `[[routes]]`.

use super::super::settings::{OnReceive, UserSource};
use super::*;
use fanfare_web::template::GroupTemplate;

fn group(template: &str) -> GroupTemplate {
    GroupTemplate::parse(template).expect(template)
}

#[test]
fn the_shipped_routes_are_those_of_the_documentation() {
    let routes = settings("", &[], &[]).routes;
    let paths: Vec<&str> = routes.iter().map(|route| route.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/ws/chat/{room}/",
            "/ws/notifications",
            "/ws/echo",
            "/room/{group}"
        ]
    );
    let chat = &routes[0];
    assert_eq!(chat.groups, [group("chat_{room}")]);
    assert_eq!(chat.on_receive, OnReceive::GroupSend);
    assert_eq!(chat.event_type.as_deref(), Some("chat.message"));
    assert_eq!(chat.deliver["chat.message"].send, "message");
    assert!(!chat.exclude_sender && !chat.welcome && chat.deliver_unknown);
    let notifications = &routes[1];
    assert_eq!(notifications.on_receive, OnReceive::Ignore);
    assert!(notifications.welcome);
    assert!(routes.iter().all(|route| route.user.is_none()));
    assert_eq!(
        (routes[2].on_receive, routes[2].groups.len()),
        (OnReceive::Echo, 0)
    );
    assert_eq!(
        (routes[3].on_receive, routes[3].reply.as_str()),
        (OnReceive::Reply, "OK")
    );
    assert_eq!(routes[3].groups, [group("{group}")]);
}

#[test]
fn routes_of_a_file_replace_the_shipped_ones() {
    let file = "[[routes]]\npath = '/mine'\ngroups = ['g']";
    let settings = settings(file, &[], &[]);
    assert_eq!(settings.routes.len(), 1);
    let route = &settings.routes[0];
    assert_eq!(
        (route.path.as_str(), route.on_receive),
        ("/mine", OnReceive::Ignore)
    );
    assert_eq!((route.reply.as_str(), route.deliver_unknown), ("OK", true));
    assert!(route.user.is_none() && route.deliver.is_empty() && !route.welcome);
}

const CLAIMED: &str = "[[routes]]\npath = '/a'\nuser = { query = 'user' }";

#[test]
fn users_named_by_the_client_are_for_development_alone() {
    let lines = errors(CLAIMED, &[], &[]);
    let [line] = lines.as_slice() else {
        panic!("{lines:#?}");
    };
    assert!(line.starts_with("development = false"), "{line}");
    assert!(line.contains("any user: /a;"), "{line}");
    assert!(!line.contains("production"), "{line}");
    let user = settings(CLAIMED, &[], &["development=true"]).routes[0]
        .user
        .clone();
    let query = "user".to_owned();
    assert_eq!(user, Some(UserSource { query }));
}

#[test]
fn what_looks_like_production_is_named_with_such_a_route() {
    for (set, sign) in [
        ("http.bind=0.0.0.0:8000", "reach http.bind"),
        ("http.trusted_proxies=127.0.0.1", "http.trusted_proxies"),
        ("http.origins=https://a.com", "http.origins"),
        ("http.origins='*'", "http.origins"),
        ("layer.redis.hosts=['redis://:p@h']", "has a password"),
    ] {
        let lines = errors(CLAIMED, &[], &[set]);
        let named = lines
            .iter()
            .any(|line| line.contains("looks like production") && line.contains(sign));
        assert!(named, "{set}: {lines:#?}");
        let settings = settings(CLAIMED, &[], &[set, "development=true"]);
        assert_eq!(settings.signs_of_production().len(), 1, "{set}");
        // The shipped routes believe nobody.
        self::settings("", &[], &[set]);
    }
    for set in [
        "http.bind=unix:/run/f.sock",
        "http.origins=http://localhost:3000",
        "layer.redis.hosts=['redis://h']",
    ] {
        let settings = settings(CLAIMED, &[], &[set, "development=true"]);
        assert!(settings.signs_of_production().is_empty(), "{set}");
    }
}

fn route_errors(route: &str) -> Vec<String> {
    errors(&format!("[[routes]]\n{route}"), &[], &[])
}

#[test]
fn what_is_wrong_with_a_route_is_said() {
    let cases = [
        ("groups = ['g']", "routes[0].path (my.toml:1): is missing"),
        ("path = 'ws'", "routes[0].path = \"ws\" (my.toml:2): "),
        ("path = '/{a'", "unbalanced"),
        ("path = '/{a:[}'", "pattern"),
        ("path = '/{a}/{a}'", "twice"),
        ("path = '/metrics'", "the server answers"),
        (
            "path = '/a'\ngroups = ['g_{b}']",
            "routes[0].groups[0] = \"g_{b}\"",
        ),
        (
            "path = '/a'\ngroups = [\"g\\u0085\"]",
            "has the control character U+0085",
        ),
        ("path = '/a'\ngroups = ['fanfare.all']", "Fanfare's own"),
        (
            "path = '/a'\non_receive = 'shout'",
            "must be one of \"echo\"",
        ),
        (
            "path = '/a'\ngroups = ['g']\non_receive = 'group_send'",
            "needs an event_type",
        ),
        (
            "path = '/a'\nevent_type = 'a'\non_receive = 'group_send'",
            "needs a group",
        ),
        (
            "path = '/a'\nevent_type = 'websocket.send'",
            "routes[0].event_type",
        ),
        ("path = '/a'\nevent_type = '.a'", "must not start with"),
        ("path = '/a'\nevent_type = ''", "is empty"),
        ("path = '/a'\nuser = {}", "query parameter"),
        ("path = '/a'\nuser = 'x'", "expected a table"),
        (
            "path = '/a'\nwelcom = true",
            "did you mean routes[0].welcome?",
        ),
        ("path = '/a'\nwelcome = 'yes'", "expected true or false"),
        (
            "path = '/a'\n[routes.deliver.x]\nsned = 'm'",
            "did you mean",
        ),
        ("path = '/a'\n[routes.deliver]\nx = 'm'", "expected a table"),
        (
            "path = '/a'\n[routes.deliver.\"x.y\"]",
            "routes[0].deliver.\"x.y\"",
        ),
        (
            "path = '/a/'\n[[routes]]\npath = '/a'",
            "routes[0] has the same path",
        ),
    ];
    for (route, expected) in cases {
        let lines = route_errors(route);
        assert!(
            lines.iter().any(|line| line.contains(expected)),
            "{route}: {lines:#?}"
        );
    }
}

#[test]
fn every_group_of_a_route_is_checked() {
    let lines = route_errors("path = '/{a}'\ngroups = ['{b}', 'o k', \"n\\to\"]");
    assert_eq!(lines.len(), 2, "{lines:#?}");
}

#[test]
fn event_types_and_parameters_keep_their_letters_and_dots() {
    let file = "[[routes]]\npath = '/x/{Room}'\ngroups = ['{Room}']\n\
                [routes.deliver.\"Chat.Message\"]\nsend = \"Text\"\n\
                [routes.deliver.\"chat.message\"]\nsend = \"b.C[0]\"";
    let set = "routes=[{ path = '/x/{Room}', groups = ['{Room}'], \
               deliver = { \"Chat.Message\" = { send = 'Text' }, \
               \"chat.message\" = { send = 'b.C[0]' } } }]";
    for settings in [settings(file, &[], &[]), settings("", &[], &[set])] {
        let [route] = settings.routes.as_slice() else {
            panic!("{:?}", settings.routes);
        };
        assert_eq!(route.path.as_str(), "/x/{Room}");
        assert_eq!(route.groups, [group("{Room}")]);
        let deliver: Vec<(&str, &str)> = (route.deliver.iter())
            .map(|(kind, entry)| (kind.as_str(), entry.send.as_str()))
            .collect();
        assert_eq!(
            deliver,
            [("Chat.Message", "Text"), ("chat.message", "b.C[0]")]
        );
    }
}

#[test]
fn where_the_application_is_asked_the_client_is_not() {
    let routes = "[[routes]]\npath = '/a'\nuser = { query = 'user' }\n\
                  [[routes]]\npath = '/b'\nauth = false\nuser = { query = 'user' }\n";
    let of = |sets: &[&str]| {
        let routes = settings(routes, &[], sets).routes;
        let facts = routes
            .iter()
            .map(|route| (route.auth, route.user.is_some()));
        facts.collect::<Vec<_>>()
    };
    let development = "development=true";
    assert_eq!(of(&[development]), [(false, true), (false, true)]);
    let asked = "auth.url=http://h/";
    assert_eq!(of(&[development, asked]), [(true, false), (false, true)]);
    let lines = errors(routes, &[], &[asked]);
    assert!(lines[0].contains("any user: /b;"), "{lines:?}");
}
