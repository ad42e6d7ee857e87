//! RFC 6455's examples and rules, one by one.

use bytes::BytesMut;
use fanfare_protocol::CloseCode;
use fanfare_protocol::frame::{Decoder, FrameLimits, Message, Opcode, push, push_close, push_with};

use crate::frames::{
    MASK, NO_LIMITS, Owned, decode, decode_bytewise, decode_whole, part, raw, whole,
};

fn pushed(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    push(&mut out, opcode, payload);
    let mut with = BytesMut::new();
    push_with(&mut with, opcode, |out| out.extend_from_slice(payload));
    assert_eq!(out, with, "both ways to push give the same frame");
    out.to_vec()
}

/// Both for a stream in one read and byte by byte.
#[track_caller]
fn refused(stream: &[u8], code: CloseCode, reason: &str) {
    for (messages, error) in [decode_whole(stream), decode_bytewise(stream)] {
        let error = error.expect("the stream is refused");
        assert_eq!((error.code, error.reason), (code, reason));
        assert_eq!(messages, []);
    }
}

#[track_caller]
fn accepted(stream: &[u8], expected: &[Owned]) {
    for outcome in [decode_whole(stream), decode_bytewise(stream)] {
        assert_eq!(outcome, (expected.to_vec(), None));
    }
}

#[test]
fn the_rfc_examples_are_written_byte_for_byte() {
    assert_eq!(pushed(Opcode::Text, b"Hello"), b"\x81\x05Hello");
    assert_eq!(pushed(Opcode::Ping, b"Hello"), b"\x89\x05Hello");
    assert_eq!(
        pushed(Opcode::Binary, &[7; 256])[..4],
        [0x82, 0x7E, 0x01, 0x00]
    );
    assert_eq!(
        pushed(Opcode::Binary, &[7; 65536])[..10],
        [0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0]
    );
}

#[test]
fn the_rfc_examples_are_read() {
    let hello = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    accepted(hello, &[Owned::Text("Hello".into())]);
    let pong = b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    accepted(pong, &[Owned::Pong(b"Hello".into())]);
    let fragments = [
        part(Opcode::Text, b"Hel"),
        whole(Opcode::Continuation, b"lo"),
    ]
    .concat();
    accepted(&fragments, &[Owned::Text("Hello".into())]);
}

#[test]
fn every_length_form_keeps_its_boundaries() {
    for (length, header) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
        let payload = vec![b'x'; length];
        let frame = pushed(Opcode::Text, &payload);
        assert_eq!(frame.len(), header + length);
        assert_eq!(frame[header..], payload);
        let text = Owned::Text("x".repeat(length));
        assert_eq!(
            decode_whole(&whole(Opcode::Text, &payload)),
            (vec![text], None)
        );
    }
}

#[test]
fn frames_are_appended_behind_what_is_there() {
    let mut out = BytesMut::from(&b"before"[..]);
    push(&mut out, Opcode::Text, b"a");
    push_with(&mut out, Opcode::Text, |out| out.extend_from_slice(b"b"));
    push_with(&mut out, Opcode::Binary, |_| {});
    assert_eq!(out[..], b"before\x81\x01a\x81\x01b\x82\x00"[..]);
}

#[test]
fn a_close_reason_is_cut_at_a_character() {
    let mut out = BytesMut::new();
    push_close(&mut out, CloseCode::GOING_AWAY, &"é".repeat(100));
    assert_eq!(out[..4], [0x88, 124, 0x03, 0xE9]);
    assert_eq!(std::str::from_utf8(&out[4..]).unwrap(), "é".repeat(61));
    out.clear();
    push_close(&mut out, CloseCode::NORMAL, "");
    assert_eq!(out[..], [0x88, 2, 0x03, 0xE8]);
}

#[test]
fn a_length_in_a_longer_form_than_needed_is_taken() {
    let mut frame = vec![0x82, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0, 1];
    frame.extend([0; 4]);
    frame.push(9);
    accepted(&frame, &[Owned::Binary(vec![9])]);
}

#[test]
fn broken_headers_close_with_1002() {
    let cases: [(Vec<u8>, &str); 10] = [
        (vec![0x81, 0x01, b'x'], "a client's frames must be masked"),
        (raw(0xC1, MASK, b""), "a reserved bit is set"),
        (raw(0x91, MASK, b""), "a reserved bit is set"),
        (raw(0x83, MASK, b""), "unknown opcode"),
        (raw(0x8B, MASK, b""), "unknown opcode"),
        (raw(0x09, MASK, b""), "a control frame is fragmented"),
        (
            raw(0x89, MASK, &[0; 126]),
            "a control frame is longer than 125 bytes",
        ),
        (raw(0x80, MASK, b""), "nothing to continue"),
        (
            [part(Opcode::Text, b""), whole(Opcode::Binary, b"")].concat(),
            "a new message inside a fragmented one",
        ),
        (
            [&[0x82, 0xFF, 0x80][..], &[0; 11]].concat(),
            "the top bit of a frame's length is set",
        ),
    ];
    for (stream, reason) in cases {
        refused(&stream, CloseCode::PROTOCOL, reason);
    }
}

#[test]
fn broken_close_frames_close_with_1002_or_1007() {
    refused(
        &whole(Opcode::Close, b"\x03"),
        CloseCode::PROTOCOL,
        "the close frame has half a code",
    );
    for code in [
        0_u16, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
    ] {
        let frame = whole(Opcode::Close, &code.to_be_bytes());
        refused(&frame, CloseCode::PROTOCOL, "the close code is illegal");
    }
    let reason = whole(Opcode::Close, b"\x03\xe8\xff");
    refused(&reason, CloseCode::INVALID, "the close reason is not UTF-8");
    accepted(&whole(Opcode::Close, b""), &[Owned::Close(None)]);
    let close = Owned::Close(Some((CloseCode(4999), "bye".into())));
    accepted(&whole(Opcode::Close, b"\x13\x87bye"), &[close]);
}

#[test]
fn control_frames_come_between_fragments() {
    let stream = [
        part(Opcode::Text, "\u{1F980}".as_bytes().split_at(2).0),
        whole(Opcode::Ping, b"p"),
        part(Opcode::Continuation, b""),
        whole(Opcode::Pong, b""),
        whole(Opcode::Continuation, "\u{1F980}!".as_bytes().split_at(2).1),
        whole(Opcode::Binary, b"next"),
    ];
    let expected = [
        Owned::Ping(b"p".into()),
        Owned::Pong(Vec::new()),
        Owned::Text("\u{1F980}!".into()),
        Owned::Binary(b"next".into()),
    ];
    accepted(&stream.concat(), &expected);
}

#[test]
fn invalid_text_is_refused_at_its_first_bad_byte() {
    // Overlong, surrogate, beyond U+10FFFF, a lone continuation, a cut character before ASCII.
    let cases: [(&[u8], usize); 5] = [
        (b"ok\xc0\xaf..", 3),
        (b"\xed\xa0\x80..", 2),
        (b"\xf4\x90\x80\x80..", 2),
        (b"\x80..", 1),
        (b"a\xe2\x82z..", 4),
    ];
    for (text, bad) in cases {
        for stream in [whole(Opcode::Text, text), part(Opcode::Text, text)] {
            refused(&stream, CloseCode::INVALID, "the text is not UTF-8");
            let header = stream.len() - text.len();
            assert_eq!(decode_bytewise(&stream[..header + bad - 1]), (vec![], None));
            assert!(
                decode_bytewise(&stream[..header + bad]).1.is_some(),
                "{text:?}"
            );
            assert!(
                decode_whole(&stream[..header + bad]).1.is_some(),
                "{text:?}"
            );
        }
    }
}

#[test]
fn text_that_ends_inside_a_character_is_refused() {
    let cut = b"caf\xc3";
    for outcome in [
        decode_whole(&whole(Opcode::Text, cut)),
        decode_bytewise(&whole(Opcode::Text, cut)),
    ] {
        assert_eq!(outcome.1.unwrap().code, CloseCode::INVALID);
    }
    let fragments = [part(Opcode::Text, cut), whole(Opcode::Continuation, b"")].concat();
    refused(
        &fragments,
        CloseCode::INVALID,
        "the text ends inside a character",
    );
}

#[test]
fn limits_are_checked_at_the_header_and_a_full_one_is_allowed() {
    let limits = FrameLimits {
        message_bytes: 10,
        frame_bytes: 6,
    };
    let header = &whole(Opcode::Binary, &[0; 7])[..2];
    let error = decode(&limits, [header]).1.unwrap();
    assert_eq!(
        (error.code, error.reason),
        (CloseCode::TOO_BIG, "the frame is too big")
    );

    let first = part(Opcode::Binary, &[1; 6]);
    let exact = [&first[..], &whole(Opcode::Continuation, &[2; 4])].concat();
    let (messages, error) = decode(&limits, [&exact[..]]);
    assert_eq!((messages.len(), error), (1, None));
    let over = [&first[..], &whole(Opcode::Continuation, &[2; 5])[..2]].concat();
    let error = decode(&limits, [&over[..]]).1.unwrap();
    assert_eq!(
        (error.code, error.reason),
        (CloseCode::TOO_BIG, "the message is too big")
    );

    let ping = whole(Opcode::Ping, &[3; 125]);
    assert_eq!(
        decode(&limits, [&ping[..]]).1,
        None,
        "control frames have their own bound"
    );
}

#[test]
fn a_message_is_under_way_until_it_is_answered() {
    let mut decoder = Decoder::new();
    let mut frame = whole(Opcode::Text, b"hello");
    let (head, tail) = frame.split_at_mut(3);
    assert!(!decoder.is_partial());
    assert_eq!(decoder.next(&NO_LIMITS, head).unwrap(), (3, None));
    assert!(decoder.is_partial());
    let (taken, message) = decoder.next(&NO_LIMITS, tail).unwrap();
    assert_eq!((taken, message), (8, Some(Message::Text("hello"))));
    assert!(!decoder.is_partial());
}
