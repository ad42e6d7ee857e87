//! Messages of timers.

/// A message for a `Session<M>`: a value of the type `M`. Its one use is what the compiler says of a
/// value of another type.
#[diagnostic::on_unimplemented(
    message = "the messages of this session are of the type `{M}`, not `{Self}`",
    label = "not a `{M}`",
    note = "a consumer with messages of the type `{Self}` is a `Consumer<{Self}>`, and its methods \
            take a `&mut Session<{Self}>`"
)]
pub trait MessageOf<M> {
    /// The value.
    fn into_message(self) -> M;
}

impl<M> MessageOf<M> for M {
    fn into_message(self) -> M {
        self
    }
}
