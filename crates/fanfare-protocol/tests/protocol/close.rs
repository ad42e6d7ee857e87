//! The close-code table.

use fanfare_protocol::{Close, CloseCode, CloseError, Envelope};

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
fn only_codes_that_are_a_servers_to_choose_can_be_asked_for() {
    let legal = |code| matches!(code, 1000 | 1001 | 1008 | 1011..=1013 | 3000..=4999);
    for code in 0..=u16::MAX {
        let close = Close::new(CloseCode(code), "");
        assert_eq!(close.is_ok(), legal(code), "{code}");
    }
    let error = Envelope::closing(CloseCode::TOO_BIG, "no").unwrap_err();
    assert_eq!(error, CloseError::Code(1009));
    assert!(error.to_string().starts_with("the close code 1009 cannot"));
}

#[test]
fn a_close_reason_fits_a_control_frame() {
    assert!(Close::new(CloseCode::NORMAL, "x".repeat(123)).is_ok());
    // Counted in bytes, not characters.
    let error = Close::new(CloseCode::NORMAL, "\u{fc}".repeat(62)).unwrap_err();
    assert_eq!(error, CloseError::Reason { bytes: 124 });
    assert_eq!(
        error.to_string(),
        "the close reason has 124 bytes, the most is 123"
    );
}
