//! However a stream is cut into fragments and reads, the same messages come out.

use bytes::BytesMut;
use fanfare_protocol::frame::{FrameLimits, Opcode, push};
use proptest::prelude::*;

use crate::frames::{Owned, cut, decode, decode_bytewise, decode_whole, raw};

/// A data message, where it is fragmented, and the pings between the fragments.
#[derive(Debug, Clone)]
struct Sent {
    opcode: Opcode,
    payload: Vec<u8>,
    fragments: Vec<u8>,
    ping: Option<Vec<u8>>,
    mask: [u8; 4],
}

impl Sent {
    fn frames(&self) -> (Vec<u8>, Vec<Owned>) {
        let parts = cut(&self.payload, &self.fragments);
        let last = parts.len() - 1;
        let (mut stream, mut expected) = (Vec::new(), Vec::new());
        for (at, part) in parts.into_iter().enumerate() {
            let opcode = if at == 0 {
                self.opcode
            } else {
                Opcode::Continuation
            };
            let fin = if at == last { 0x80 } else { 0 };
            stream.extend(raw(fin | opcode as u8, self.mask, part));
            if let Some(ping) = self.ping.as_ref().filter(|_| at < last) {
                stream.extend(raw(0x89, self.mask, ping));
                expected.push(Owned::Ping(ping.clone()));
            }
        }
        let payload = self.payload.clone();
        expected.push(match self.opcode {
            Opcode::Text => Owned::Text(String::from_utf8(payload).expect("text was given")),
            _ => Owned::Binary(payload),
        });
        (stream, expected)
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    let text = any::<String>().prop_map(|text| (Opcode::Text, text.into_bytes()));
    let binary =
        proptest::collection::vec(any::<u8>(), 0..700).prop_map(|bytes| (Opcode::Binary, bytes));
    let fragments = proptest::collection::vec(any::<u8>(), 0..5);
    let ping = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..=125));
    (prop_oneof![text, binary], fragments, ping, any::<[u8; 4]>()).prop_map(
        |((opcode, payload), fragments, ping, mask)| Sent {
            opcode,
            payload,
            fragments,
            ping,
            mask,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn fragmented_and_cut_messages_come_out_whole(
        sent in proptest::collection::vec(sent(), 0..8),
        cuts in proptest::collection::vec(any::<u8>(), 0..6),
    ) {
        let (streams, expected): (Vec<_>, Vec<_>) = sent.iter().map(Sent::frames).unzip();
        let (stream, expected) = (streams.concat(), expected.concat());
        let limits = FrameLimits { message_bytes: 1 << 20, frame_bytes: 1 << 20 };
        prop_assert_eq!(decode_whole(&stream), (expected.clone(), None));
        prop_assert_eq!(decode(&limits, cut(&stream, &cuts)), (expected, None));
    }

    #[test]
    fn what_a_server_pushes_a_client_reads(payload in proptest::collection::vec(any::<u8>(), 0..66_000)) {
        let mut out = BytesMut::new();
        push(&mut out, Opcode::Binary, &payload);
        // A mask of zeros turns a server's frame into a client's.
        let header = out.len() - payload.len();
        let mut masked = out[..header].to_vec();
        masked[1] |= 0x80;
        masked.extend([0; 4]);
        masked.extend(&payload);
        prop_assert_eq!(decode_whole(&masked), (vec![Owned::Binary(payload)], None));
    }
}

#[test]
fn any_bytes_mean_the_same_however_they_are_cut() {
    bolero::check!()
        .with_iterations(3_000)
        .with_type::<(Vec<u8>, Vec<u8>)>()
        .for_each(|(stream, cuts)| {
            let outcome = decode_whole(stream);
            assert_eq!(
                outcome,
                decode(&crate::frames::NO_LIMITS, cut(stream, cuts))
            );
            assert_eq!(outcome, decode_bytewise(stream));
        });
}

#[test]
fn any_sequence_of_frames_means_the_same_however_it_is_cut() {
    let limits = FrameLimits {
        message_bytes: 300,
        frame_bytes: 200,
    };
    bolero::check!()
        .with_iterations(3_000)
        .with_type::<(Vec<(u8, [u8; 4], Vec<u8>)>, Vec<u8>)>()
        .for_each(|(frames, cuts)| {
            // Legal first bytes far more often than chance would give them.
            let first =
                |byte: u8| [0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x88][usize::from(byte % 8)];
            let frames = frames
                .iter()
                .map(|(byte, mask, payload)| raw(first(*byte), *mask, payload));
            let stream = frames.collect::<Vec<_>>().concat();
            let outcome = decode(&limits, [&stream[..]]);
            assert_eq!(outcome, decode(&limits, cut(&stream, cuts)));
            assert_eq!(outcome, decode(&limits, stream.chunks(1)));
        });
}
