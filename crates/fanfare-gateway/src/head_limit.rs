//! Bounds of a request's head. They hold before anything is done with the URI.
//!
//! actix-http takes heads of up to 131,072 bytes and reads an unfinished one again from its start
//! with each segment. So the bytes of a connection's first head are counted as they arrive
//! ([`FirstHead`]), and every request is looked at before the App sees it ([`HeadLimits::check`]).

use std::future::ready;

use actix_http::body::{BoxBody, EitherBody};
use actix_http::{Request, RequestHead, Response};
use actix_service::{Service as _, ServiceFactory, apply_fn_factory};
use actix_web::ResponseError as _;
use fanfare_layer::Throttle;
use fanfare_web::{Code, Refusal};
use futures_util::future::Either;

/// The most bytes of a request line without its end, and of a whole head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadLimits {
    pub(crate) line: usize,
    pub(crate) head: usize,
}

/// What is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TooLong {
    /// The request line, and with it the URI.
    Line(HeadSize),
    /// The head as a whole.
    Head(HeadSize),
}

/// A limit, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeadSize(usize);

impl Default for HeadLimits {
    fn default() -> Self {
        Self {
            line: 8 * 1024,
            head: 32 * 1024,
        }
    }
}

impl HeadLimits {
    /// Checks a head that was read.
    pub(crate) fn check(&self, head: &RequestHead) -> Result<(), TooLong> {
        const VERSION: usize = " HTTP/1.1".len();
        const END: usize = "\r\n".len();
        const COLON: usize = ": ".len();
        let line = head.method.as_str().len() + 1 + target(head) + VERSION;
        if line > self.line {
            return Err(TooLong::Line(HeadSize(self.line)));
        }
        let headers = head.headers.iter();
        let headers = headers.map(|(name, value)| name.as_str().len() + COLON + value.len() + END);
        if line + END + headers.sum::<usize>() + END > self.head {
            return Err(TooLong::Head(HeadSize(self.head)));
        }
        Ok(())
    }
}

/// Passes on the requests whose heads are within the limits.
pub(crate) fn within<F, B>(
    limits: HeadLimits,
    app: F,
) -> impl ServiceFactory<
    Request,
    Config = F::Config,
    Response = F::Response,
    Error = F::Error,
    InitError = F::InitError,
    Service: 'static,
    Future: 'static,
>
where
    F: ServiceFactory<Request, Response = Response<EitherBody<B, BoxBody>>> + 'static,
    F::Service: 'static,
    B: 'static,
{
    let check = move |request: Request, app: &F::Service| match limits.check(request.head()) {
        Ok(()) => Either::Left(app.call(request)),
        Err(too_long) => {
            let response = Response::from(too_long.refusal().error_response());
            let response = response.map_body(|_, body| EitherBody::right(body));
            Either::Right(ready(Ok(response)))
        }
    };
    apply_fn_factory(app, check)
}

/// How long the target of a request is, in each of its forms (RFC 9112 §3.2).
fn target(head: &RequestHead) -> usize {
    let uri = &head.uri;
    let scheme = uri.scheme_str().map_or(0, |scheme| scheme.len() + 3);
    let authority = uri.authority().map_or(0, |it| it.as_str().len());
    let path = uri.path_and_query().map_or(0, |it| it.as_str().len());
    scheme + authority + path
}

impl TooLong {
    /// The answer, after which the connection ends. The log says now and then how many there were.
    pub(crate) fn refusal(self) -> Refusal {
        static TOLD: Throttle = Throttle::new();
        let refusal = self.reason();
        if let Some(times) = TOLD.admit(1) {
            tracing::warn!(times, "a request was refused: {refusal}");
        }
        refusal
    }

    fn reason(self) -> Refusal {
        match self {
            Self::Line(HeadSize(limit)) => Refusal::new(
                Code::UriTooLong,
                format!("the request line is over {limit} bytes"),
            ),
            Self::Head(HeadSize(limit)) => Refusal::new(
                Code::HeadTooLarge,
                format!("the head of the request is over {limit} bytes"),
            ),
        }
    }
}

/// The first head of a connection on its way.
#[derive(Debug)]
pub(crate) struct FirstHead {
    limits: HeadLimits,
    /// Bytes since the first one that is no empty line.
    bytes: usize,
    /// The end of the request line was there.
    has_line: bool,
    /// Nothing stands on the line that arrives.
    is_blank: bool,
}

/// How far a head is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Unfinished,
    Finished,
}

impl FirstHead {
    pub(crate) fn new(limits: HeadLimits) -> Self {
        Self {
            limits,
            bytes: 0,
            has_line: false,
            is_blank: true,
        }
    }

    /// Counts what has arrived.
    pub(crate) fn take(&mut self, arrived: &[u8]) -> Result<Progress, TooLong> {
        for byte in arrived {
            match byte {
                // Empty lines may stand in front of a request.
                b'\r' | b'\n' if self.bytes == 0 => continue,
                b'\n' if self.is_blank => return Ok(Progress::Finished),
                b'\n' => (self.has_line, self.is_blank) = (true, true),
                b'\r' => {}
                _ => self.is_blank = false,
            }
            self.bytes += 1;
            // The two are the end of the line.
            if !self.has_line && self.bytes > self.limits.line + 2 {
                return Err(TooLong::Line(HeadSize(self.limits.line)));
            }
            if self.bytes > self.limits.head {
                return Err(TooLong::Head(HeadSize(self.limits.head)));
            }
        }
        Ok(Progress::Unfinished)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits { line: 24, head: 64 };

    /// What becomes of a head that arrives in pieces of each size.
    fn taken(head: &str) -> Result<Progress, TooLong> {
        let outcomes = [1, 2, 3, 7, 1000].map(|size| {
            let mut first = FirstHead::new(LIMITS);
            for piece in head.as_bytes().chunks(size) {
                match first.take(piece) {
                    Ok(Progress::Unfinished) => {}
                    other => return other,
                }
            }
            Ok(Progress::Unfinished)
        });
        let [first, rest @ ..] = outcomes;
        for other in rest {
            assert_eq!(other, first, "{head:?}");
        }
        first
    }

    #[test]
    fn a_head_ends_at_its_empty_line_however_it_is_cut() {
        let finished = Ok(Progress::Finished);
        assert_eq!(taken("GET / HTTP/1.1\r\nHost: x\r\n\r\nbody"), finished);
        assert_eq!(taken("GET / HTTP/1.1\nHost: x\n\n"), finished);
        assert_eq!(taken("\r\n\r\nGET / HTTP/1.1\r\n\r\n"), finished);
        let unfinished = Ok(Progress::Unfinished);
        assert_eq!(taken("GET / HTTP/1.1\r\nHost: x\r\n"), unfinished);
        assert_eq!(taken("\r\n\r\n"), unfinished);
    }

    #[test]
    fn a_line_and_a_head_may_have_their_limit_and_no_byte_more() {
        let line = format!("GET /{} HTTP/1.1", "a".repeat(10));
        assert_eq!(line.len(), LIMITS.line);
        assert_eq!(taken(&format!("{line}\r\n")), Ok(Progress::Unfinished));
        let longer = format!("GET /{}", "a".repeat(30));
        assert_eq!(taken(&longer), Err(TooLong::Line(HeadSize(LIMITS.line))));
        let rest = "b".repeat(LIMITS.head - line.len() - 2);
        let full = format!("{line}\r\n{rest}");
        assert_eq!(taken(&full), Ok(Progress::Unfinished));
        let longer = format!("{full}b");
        assert_eq!(taken(&longer), Err(TooLong::Head(HeadSize(LIMITS.head))));
    }

    #[test]
    fn every_form_of_a_target_counts_whole() {
        for target in ["/abc?d=e", "http://a.com/b", "a.com:443", "*"] {
            let mut request = actix_http::Request::new();
            request.head_mut().uri = target.parse().unwrap();
            let line = format!("GET {target} HTTP/1.1").len();
            let check = |line| HeadLimits { line, head: 1000 }.check(request.head());
            assert_eq!(check(line), Ok(()), "{target}");
            let limit = HeadSize(line - 1);
            assert_eq!(check(line - 1), Err(TooLong::Line(limit)), "{target}");
        }
    }
}
