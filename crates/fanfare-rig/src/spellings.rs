//! How a path can be written: what attackers try where one program authorises and another routes.

/// `{room}` is the room, `{one}` its first letter percent-encoded (`{digits}` without the `%`, `{twice}`
/// with the digits encoded too), `{rest}` what follows it, `{all}` the whole room percent-encoded,
/// `{wide}` in full-width letters.
const TARGETS: &[&str] = &[
    // As it is, and with other slashes.
    "/ws/chat/{room}/",
    "/ws/chat/{room}",
    "/ws/chat/{room}//",
    "/ws/chat//{room}/",
    "/ws//chat/{room}/",
    "//ws/chat/{room}/",
    "/ws/chat/{room}/?",
    // Case.
    "/ws/chat/{upper}/",
    "/WS/CHAT/{room}/",
    "/ws/Chat/{room}",
    // Dot segments.
    "/ws/chat/./{room}/",
    "/ws/chat/lobby/../{room}/",
    "/ws/chat/{room}/.",
    "/ws/chat/{room}/x/..",
    "/ws/../ws/chat/{room}/",
    "/x/../ws/chat/{room}/",
    "/ws/chat/%2e/{room}/",
    "/ws/chat/lobby/%2e%2E/{room}/",
    "/ws/chat/lobby/..%2f{room}/",
    // Percent-encoding: once, twice, of what separates, of nothing.
    "/ws/chat/{one}{rest}/",
    "/ws/chat/{all}",
    "/%77s/cha%74/{room}/",
    "/ws/chat/%25{digits}{rest}/",
    "/ws/chat/%2525{digits}{rest}/",
    "/ws/chat/{twice}{rest}/",
    "/ws/chat%2f{room}/",
    "/ws%2Fchat%2F{room}%2F",
    "/ws/chat/{room}%2f",
    "/ws/chat/%2f{room}/",
    "/ws/chat/%u0073{rest}/",
    "/ws/chat/{room}%/",
    "/ws/chat/{room}%zz/",
    // Control characters, NUL, blanks, backslashes.
    "/ws/chat/{room}%00/",
    "/ws/chat/{room}%00.html",
    "/ws/chat/{room}%0a/",
    "/ws/chat/{room}%0d%0aX-Fanfare-Path:%20/",
    "/ws/chat/{room}%20/",
    "/ws/chat/%09{room}/",
    "/ws\\chat\\{room}/",
    "/ws/chat/%5c{room}/",
    "/ws/chat/..%5cchat/{room}/",
    // Matrix parameters, queries, fragments.
    "/ws/chat/{room};x=1/",
    "/ws/chat;x=1/{room}/",
    "/ws/chat/{room}/;",
    "/ws/chat/lobby/;/../{room}/",
    "/ws/chat/{room}%3bx/",
    "/ws/chat/lobby/?/../{room}/",
    "/ws/chat/{room}/?x=/ws/chat/lobby/",
    "/ws/chat/{room}/%3f/",
    "/ws/chat/lobby/#/../{room}/",
    "/ws/chat/{room}/#x",
    "/ws/chat/{room}%23/",
    // Unicode: full-width letters, a combining mark, a zero-width blank, overlong and broken UTF-8.
    "/ws/chat/{wide}/",
    "/ws/chat/{room}%cc%81/",
    "/ws/chat/{room}%e2%80%8b/",
    "/ws/chat%c0%af{room}/",
    "/ws/chat/{room}%ff/",
    // Absolute forms.
    "http://{host}/ws/chat/{room}/",
    "http://{host}/ws/chat/{all}",
    "http://elsewhere.example/ws/chat/{room}",
    "ws://{host}/ws/chat/{room}/",
    "ws/chat/{room}/",
];

/// Request targets that a reader may take for `/ws/chat/{room}/`. The room is ASCII and starts with
/// a letter. Some of them are that path, some are not.
pub fn spellings(room: &str, host: &str) -> Vec<String> {
    let encoded = |text: &str| -> String { text.bytes().map(|it| format!("%{it:02x}")).collect() };
    let (first, rest) = room.split_at_checked(1).unwrap_or_default();
    let one = encoded(first);
    let digits = one.trim_start_matches('%');
    let wide = |letter: char| char::from_u32(u32::from(letter) + 0xfee0);
    let wide: String = room.chars().filter_map(wide).collect();
    let parts = [
        ("{room}", room.to_owned()),
        ("{upper}", room.to_uppercase()),
        ("{host}", host.to_owned()),
        ("{one}", one.clone()),
        ("{digits}", digits.to_owned()),
        ("{twice}", format!("%{}", encoded(digits))),
        ("{rest}", rest.to_owned()),
        ("{all}", encoded(room)),
        ("{wide}", encoded(&wide)),
    ];
    let filled = TARGETS.iter().map(|target| {
        let fill = |text: String, (name, value): &(&str, String)| text.replace(name, value);
        parts.iter().fold((*target).to_owned(), fill)
    });
    filled.collect()
}

#[cfg(test)]
mod tests {
    use super::spellings;

    #[test]
    fn every_part_of_a_target_is_filled_in() {
        let targets = spellings("staff", "h:1");
        for due in [
            "/ws/chat/%73taff/",
            "/ws/chat/%%37%33taff/",
            "http://h:1/ws/chat/staff/",
        ] {
            assert!(targets.iter().any(|target| target == due), "{due}");
        }
        let open: Vec<_> = targets
            .iter()
            .filter(|it| it.contains(['{', '}']))
            .collect();
        assert!(open.is_empty(), "{open:?}");
    }
}
