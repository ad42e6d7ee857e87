//! The close-code table.

use fanfare_protocol::CloseCode;

#[test]
fn exactly_the_codes_of_the_rfc_and_its_registry_may_be_received() {
    let legal = |code| match code {
        1000..=1003 | 1007..=1014 => true,
        // Of libraries, and from 4000 on of applications.
        3000..=4999 => true,
        _ => false,
    };
    for code in 0..=u16::MAX {
        assert_eq!(CloseCode(code).may_be_received(), legal(code), "{code}");
    }
}

#[test]
fn what_fanfare_sends_may_be_received() {
    let sent = [
        CloseCode::NORMAL,
        CloseCode::GOING_AWAY,
        CloseCode::PROTOCOL,
        CloseCode::UNSUPPORTED,
        CloseCode::INVALID,
        CloseCode::POLICY,
        CloseCode::TOO_BIG,
        CloseCode::INTERNAL,
    ];
    assert!(sent.into_iter().all(CloseCode::may_be_received));
}

#[test]
fn clients_reconnect_after_a_nodes_end_but_not_after_their_own_fault() {
    assert!(CloseCode::GOING_AWAY.should_reconnect());
    assert!(CloseCode::INTERNAL.should_reconnect());
    for fault in [
        CloseCode::PROTOCOL,
        CloseCode::INVALID,
        CloseCode::TOO_BIG,
        CloseCode::POLICY,
    ] {
        assert!(!fault.should_reconnect());
    }
    assert!(!CloseCode::NORMAL.should_reconnect());
}
