//! What is no envelope is refused with its place and reason.

use bytes::Bytes;
use fanfare_protocol::envelope::Envelope;
use fanfare_protocol::event::{EventError, MAX_DEPTH};
use fanfare_protocol::msgpack::DecodeError;

#[track_caller]
fn malformed(wire: &[u8], at: usize, reason: &'static str) {
    let result = Envelope::from_msgpack(&Bytes::copy_from_slice(wire));
    assert_eq!(result, Err(DecodeError::Malformed { at, reason }));
}

/// `{"type": "t", <rest>`, 8 bytes before the rest.
fn after_type(rest: &[u8]) -> Vec<u8> {
    [b"\x82\xa4type\xa1t", rest].concat()
}

#[test]
fn what_is_no_map_is_named() {
    let cases: [(&[u8], &str); 10] = [
        (b"\x93\x01\x02\x03", "a list"),
        (b"\xdc\x00\x00", "a list"),
        (b"\xa2hi", "a string"),
        (b"\xc4\x00", "bytes"),
        (b"\x05", "an integer"),
        (b"\xff", "an integer"),
        (b"\xcb\x00\x00\x00\x00\x00\x00\x00\x00", "a float"),
        (b"\xc0", "nil"),
        (b"\xc3", "a boolean"),
        (b"\xd4\x01\x00", "an extension"),
    ];
    for (wire, found) in cases {
        let error = Envelope::from_msgpack(&Bytes::copy_from_slice(wire)).unwrap_err();
        assert_eq!(error, DecodeError::NotAMap { found });
        assert_eq!(
            error.to_string(),
            format!("the message is no map but {found}")
        );
    }
}

#[test]
fn a_map_without_a_string_type_is_no_event() {
    let read = |wire: &'static [u8]| Envelope::from_msgpack(&Bytes::from_static(wire));
    assert_eq!(read(b"\x80"), Err(DecodeError::Event(EventError::NoType)));
    assert_eq!(
        read(b"\x81\xa4type\x01"),
        Err(DecodeError::Event(EventError::TypeNotString))
    );
}

#[test]
fn faults_name_their_byte() {
    malformed(b"", 0, "the message is cut short");
    malformed(b"\x81\xa4type\xa1t\x00", 8, "bytes follow the message");
    malformed(&after_type(b"\xa1v\xc1"), 10, "the byte 0xc1 is never used");
    malformed(
        &after_type(b"\xa1v\xa3ok\xff"),
        13,
        "the string is not UTF-8",
    );
    malformed(
        &after_type(b"\xa1v\xd6\xff\x00"),
        13,
        "the message is cut short",
    );
    malformed(
        &after_type(b"\xa1v\xc7\x02\xff\x00\x00"),
        13,
        "the timestamp is illegal",
    );
    let nanos = (1_000_000_000_u64 << 34).to_be_bytes();
    let timestamp = [b"\xa1v\xd7\xff", &nanos[..]].concat();
    malformed(&after_type(&timestamp), 12, "the timestamp is illegal");
}

#[test]
fn keys_that_json_cannot_spell_are_refused() {
    malformed(&after_type(b"\x90\x01"), 8, "a key is a list or a map");
    malformed(
        &after_type(b"\xa1v\x81\x80\x01"),
        11,
        "a key is a list or a map",
    );
    malformed(
        &after_type(b"\xd6\xff\x00\x00\x00\x0a\x01"),
        8,
        "a key is an extension",
    );
    malformed(
        &after_type(b"\xc4\x01\xff\x01"),
        8,
        "a key of bytes is not UTF-8",
    );
}

#[test]
fn nesting_has_a_bound() {
    let lists = [0x91; MAX_DEPTH];
    let at = 10 + MAX_DEPTH;
    let reason = "lists and maps are nested more than 64 deep";
    malformed(&after_type(&[b"\xa1v", &lists[..]].concat()), at, reason);
    assert!(reason.contains(&MAX_DEPTH.to_string()));
    // Far beyond the bound the stack is safe too.
    malformed(
        &after_type(&[b"\xa1v", &vec![0x91; 1 << 20][..]].concat()),
        at,
        reason,
    );
}

#[test]
fn announced_lengths_cost_nothing() {
    for huge in [
        &b"\xdd\xff\xff\xff\xff"[..],
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
    ] {
        malformed(
            &after_type(&[b"\xa1v", huge].concat()),
            15,
            "the message is cut short",
        );
    }
    malformed(b"\xdf\xff\xff\xff\xff", 5, "the message is cut short");
}

#[test]
fn broken_metadata_is_refused() {
    let meta = |rest: &[u8]| after_type(&[b"\xd9\x0b__fanfare__", rest].concat());
    malformed(&meta(b"\x01"), 21, "the metadata is no map");
    malformed(
        &meta(b"\x81\xa7exclude\x01"),
        21,
        "the metadata's exclude is no list",
    );
    let reason = "the metadata excludes what is no channel name";
    malformed(&meta(b"\x81\xa7exclude\x91\x01"), 21, reason);
    malformed(&meta(b"\x81\xa7exclude\x91\xa0"), 21, reason);
    let long = [b"\x81\xa7exclude\x91\xda\x02\x01", &[b'x'; 513][..]].concat();
    malformed(&meta(&long), 21, reason);
}

#[test]
fn a_broken_order_to_close_is_refused() {
    let close = |rest: &[u8]| after_type(&[b"\xd9\x0b__fanfare__\x81\xa5close", rest].concat());
    malformed(&close(b"\xc0"), 21, "the metadata's close is no list");
    let reason = "the metadata's close is not a code and a reason";
    malformed(&close(b"\x90"), 21, reason);
    malformed(&close(b"\x91\xcd\x03\xe8"), 21, reason);
    malformed(&close(b"\x92\xa1x\xa1x"), 21, reason);
    malformed(&close(b"\x92\xcd\x03\xe8\xc4\x01x"), 21, reason);
    malformed(&close(b"\x93\xcd\x03\xe8\xa0\xa0"), 21, reason);
    let reason = "the metadata's close has an illegal code or reason";
    malformed(&close(b"\x92\xff\xa0"), 21, reason);
    malformed(&close(b"\x92\xcd\x03\xed\xa0"), 21, reason);
    malformed(&close(b"\x92\xce\x00\x01\x03\xe8\xa0"), 21, reason);
    let long = [b"\x92\xcd\x03\xe8\xd9\x7c", &[b'x'; 124][..]].concat();
    malformed(&close(&long), 21, reason);
}
