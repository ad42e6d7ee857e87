//! The codecs of the hot path: what one frame, one event, one delivery encoder costs.

use std::hint::black_box;
use std::time::Duration;

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use fanfare_protocol::envelope::Envelope;
use fanfare_protocol::frame::{self, Decoder, FrameLimits, Opcode};
use fanfare_protocol::serializer::{Notation, Recipients};
use fanfare_protocol::{
    DeliverTable, Encoder as _, Event, GroupName, Outgoing, RouteEncoder, Serializer, Target, json,
};

const TEXT: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
                    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const LIMITS: FrameLimits = FrameLimits {
    message_bytes: 1 << 20,
    frame_bytes: 1 << 20,
};

/// A client's text frame of 128 bytes.
fn masked() -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = vec![0x81, 0x80 | 126, 0, TEXT.len() as u8];
    frame.extend(mask);
    frame.extend(
        TEXT.bytes()
            .zip(mask.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    frame
}

fn chat() -> Event {
    Event::new("chat.message").with("message", TEXT)
}

fn decode_all(input: &mut [u8]) -> usize {
    let mut decoder = Decoder::new();
    let mut rest = input;
    let mut messages = 0;
    while let Ok((taken, Some(message))) = decoder.next(&LIMITS, rest) {
        black_box(message);
        messages += 1;
        rest = rest.get_mut(taken..).unwrap_or_default();
    }
    messages
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame_decode");
    for count in [1, 64] {
        let input = masked().repeat(count);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("text_128_x{count}"), |bencher| {
            bencher.iter_batched_ref(
                || input.clone(),
                |input| assert_eq!(decode_all(input), count),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn encode(criterion: &mut Criterion) {
    let mut out = BytesMut::with_capacity(1 << 12);
    criterion.bench_function("frame_push/text_128", |bencher| {
        bencher.iter(|| {
            out.clear();
            frame::push(&mut out, Opcode::Text, black_box(TEXT.as_bytes()));
        });
    });
    let event = chat();
    let group = Target::Group(GroupName::everyone());
    let table = DeliverTable {
        send: [("chat.message".to_owned(), "message".to_owned())].into(),
        deliver_unknown: true,
    };
    for (name, table) in [("field", table), ("json", DeliverTable::default())] {
        let encoder = RouteEncoder(table);
        criterion.bench_function(&format!("deliver_table/{name}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                let message = Outgoing::new(&group, black_box(&event));
                encoder.encode(&message, &mut out)
            });
        });
    }
}

fn events(criterion: &mut Criterion) {
    let envelope = Envelope::new(chat());
    criterion.bench_function("msgpack/encode_chat", |bencher| {
        bencher.iter(|| black_box(&envelope).to_msgpack());
    });
    let wire = envelope.to_msgpack();
    criterion.bench_function("msgpack/decode_chat", |bencher| {
        bencher.iter(|| Envelope::from_msgpack(black_box(&wire)));
    });
    let mut out = BytesMut::with_capacity(1 << 12);
    criterion.bench_function("json/write_chat", |bencher| {
        bencher.iter(|| {
            out.clear();
            json::write_event(black_box(&envelope.event), &mut out);
        });
    });
    let text = format!("{{\"type\":\"chat.message\",\"message\":\"{TEXT}\"}}");
    criterion.bench_function("json/parse_chat", |bencher| {
        bencher.iter(|| json::parse_event(black_box(text.as_bytes())));
    });
}

/// Messages of the core format, as they are in Redis.
fn serializers(criterion: &mut Criterion) {
    const NAME: &str = "specific.0123456789abcdef0123456789abcdef!0123456789abcdef0123456789abcdef";
    let keys = ["a key".to_owned()];
    let expiry = Duration::from_secs(60);
    let envelope = Envelope::new(chat());
    for (name, notation, keys) in [
        ("msgpack", Notation::Msgpack, &[][..]),
        ("json", Notation::Json, &[]),
        ("msgpack_encrypted", Notation::Msgpack, &keys),
    ] {
        let serializer = Serializer::core(notation, keys, 12, expiry);
        let write = || {
            let draft = serializer.draft(black_box(&envelope))?;
            serializer.finish(&draft, Recipients::Many(&[NAME]), false)
        };
        criterion.bench_function(&format!("serializer/write_{name}"), |bencher| {
            bencher.iter(write);
        });
        let wire = write().unwrap_or_default();
        criterion.bench_function(&format!("serializer/read_{name}"), |bencher| {
            bencher.iter(|| serializer.read(black_box(&wire)));
        });
    }
}

criterion_group!(benches, decode, encode, events, serializers);
criterion_main!(benches);
