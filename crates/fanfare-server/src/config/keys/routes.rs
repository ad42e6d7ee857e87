//! Routes and the rules of groups.

use super::{Key, Kind, Section, key};

pub(super) const SECTIONS: &[Section] = &[
    Section {
        path: "routes[]",
        doc: "",
        keys: ROUTES,
    },
    Section {
        path: "routes[].user",
        doc: "",
        keys: &[key(
            "query",
            Kind::Text,
            "none",
            "",
            "For development, with `development = true` alone: the name of the query parameter that \
             contains the user. A handshake that came through a proxy gets 403. It has no effect on \
             a route that asks the application. If the key is missing, the sessions have no user.",
        )],
    },
    Section {
        path: "routes[].deliver.*",
        doc: "",
        keys: &[key(
            "send",
            Kind::Text,
            "required",
            "",
            "The field of the event that is sent: text as a text frame, bytes as a binary frame. \
             `*` is the type of the event: `[routes.deliver.\"chat.message\"]`.",
        )],
    },
    Section {
        path: "groups[]",
        doc: "",
        keys: &[key(
            "pattern",
            Kind::Text,
            "required",
            "",
            "The names of the groups that the rule is for. `*` matches any characters. The first \
             rule that matches a group is used.",
        )],
    },
];

const ROUTES: &[Key] = &[
    key(
        "path",
        Kind::Text,
        "required",
        "",
        "The path. It matches with and without a final slash. `{room}` is a parameter of letters, \
         digits, `_`, `.` and `-`. `{room:[a-z]+}` is a parameter that matches a regular \
         expression.",
    ),
    key(
        "groups",
        Kind::Texts,
        "[]",
        "",
        "Groups that every session of the route joins. `{room}` is replaced by the parameter of \
         the path.",
    ),
    key(
        "on_receive",
        Kind::Choice(&["echo", "group_send", "reply", "ignore"]),
        "\"ignore\"",
        "",
        "What happens to a message from a client. `\"group_send\"` publishes it to the groups, \
         `\"echo\"` sends it back, `\"reply\"` answers with the text of `reply`, `\"ignore\"` \
         drops it.",
    ),
    key(
        "event_type",
        Kind::Text,
        "none",
        "",
        "The type of the events that `group_send` publishes. Their field `message` has the message \
         of the client. `group_send` requires this key.",
    ),
    key(
        "exclude_sender",
        Kind::Flag,
        "false",
        "",
        "The sender does not get its own message.",
    ),
    key(
        "welcome",
        Kind::Flag,
        "false",
        "",
        "The first frame is `{\"type\":\"welcome\",\"channel\":\"..\"}`.",
    ),
    key(
        "deliver_unknown",
        Kind::Flag,
        "true",
        "",
        "Sends events of types without an entry in `deliver`, as JSON.",
    ),
    key(
        "auth",
        Kind::Flag,
        "true",
        "",
        "Asks the application who the client is, if `auth.url` is set. `false` makes the route \
         public.",
    ),
    key(
        "reply",
        Kind::Text,
        "\"OK\"",
        "",
        "The answer of `on_receive = \"reply\"`.",
    ),
];
