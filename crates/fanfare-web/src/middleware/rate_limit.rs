//! Refuses clients that send too many requests.

use std::collections::HashMap;
use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use actix_web::Error;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::gate::{Gate, Gated};
use crate::client::client;
use crate::refusal::{Code, Refusal};

/// Clients that are counted separately. All further clients share one count.
const CLIENTS: usize = 65_536;
/// The address under which the further clients are counted: no network of 64 bits has it.
const OTHERS: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
/// Below this many entries nothing is thrown away.
const FEW: usize = 1024;
/// The longest pause between sweeps while the map is full.
const SWEEP: Duration = Duration::from_secs(1);
/// Longer periods count as this: a year.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Limits the requests of each client: so many at once, and so many in every period. A refused
/// request gets 429 with code `rate_limited` and `Retry-After` in seconds, and does not count.
///
/// A client is an address that [`client`] returns. Behind a proxy this needs
/// [`TrustedProxies`](crate::TrustedProxies) in the App. For IPv6 a client is a network of 64 bits.
/// Processes on a Unix socket are not limited. At most 65,536 clients are counted separately (about
/// 4 MB). All further clients share one count.
///
/// Clones share their counts. Create the limit outside of the App's factory, which runs on every
/// worker thread:
///
/// ```
/// use std::time::Duration;
///
/// use actix_web::App;
/// use fanfare_consumer::middleware::RateLimit;
///
/// let limit = RateLimit::per_client(10, Duration::from_secs(60)).burst(20);
/// let app = move || App::new().wrap(limit.clone());
/// # let _ = app();
/// ```
#[derive(Clone)]
pub struct RateLimit {
    /// What one request costs: the time after which it is forgotten.
    cost: Duration,
    burst: u32,
    clients: Arc<Mutex<Clients>>,
}

/// Per client the time at which its budget is whole again (GCRA, ITU-T I.371 annex A). Entries of
/// the past are as good as none.
struct Clients {
    whole_at: HashMap<IpAddr, Instant>,
    /// The number of entries at which those of the past are thrown away.
    sweep_at: usize,
    swept: Instant,
}

impl RateLimit {
    /// Allows `count` requests at once, and `count` in every `period`, for each client. A count of
    /// zero is one. A period of zero limits nothing, and a period beyond a year is a year.
    pub fn per_client(count: u32, period: Duration) -> Self {
        let count = count.max(1);
        Self {
            cost: period.min(LONGEST) / count,
            burst: count,
            clients: Arc::new(Mutex::new(Clients::new())),
        }
    }

    /// How many requests a client may send at once after it has sent none for a while. Zero counts
    /// as one.
    #[must_use]
    pub fn burst(mut self, burst: u32) -> Self {
        self.burst = burst.max(1);
        self
    }

    /// Takes a request from the client's budget, for what no middleware can tell.
    ///
    /// # Errors
    /// How long to wait for the next. Then nothing was taken.
    pub fn take(&self, client: IpAddr) -> Result<(), Duration> {
        let now = Instant::now();
        let budget = self.cost.saturating_mul(self.burst);
        let mut clients = self.clients.lock();
        let whole_at = clients.entry(network(client), now);
        let spent = (*whole_at + self.cost).duration_since(now);
        if spent > budget {
            return Err(spent - budget);
        }
        *whole_at += self.cost;
        Ok(())
    }
}

impl Clients {
    fn new() -> Self {
        Self {
            whole_at: HashMap::new(),
            sweep_at: FEW,
            swept: Instant::now(),
        }
    }

    fn entry(&mut self, client: IpAddr, now: Instant) -> &mut Instant {
        if self.whole_at.len() >= self.sweep_at {
            self.sweep(now);
        }
        let is_full = self.whole_at.len() >= CLIENTS;
        let client = if is_full && !self.whole_at.contains_key(&client) {
            OTHERS
        } else {
            client
        };
        let whole_at = self.whole_at.entry(client).or_insert(now);
        *whole_at = (*whole_at).max(now);
        whole_at
    }

    /// Each sweep is paid for by as many new entries as it leaves, or by the time since the last.
    fn sweep(&mut self, now: Instant) {
        if self.sweep_at >= CLIENTS && now.duration_since(self.swept) < SWEEP {
            return;
        }
        self.swept = now;
        self.whole_at.retain(|_, whole_at| *whole_at > now);
        self.sweep_at = (2 * self.whole_at.len()).clamp(FEW, CLIENTS);
    }
}

/// What a client cannot change at will: with IPv6, everybody has 2^64 addresses.
fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

impl Gate for RateLimit {
    async fn pass(&self, request: &ServiceRequest) -> Result<(), Error> {
        let Some(client) = client(request.request()) else {
            return Ok(());
        };
        self.take(client).map_err(|wait| {
            tracing::debug!(path = request.path(), "a client asks too often");
            let message = "too many requests";
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            Refusal::new(Code::RateLimited, message)
                .retry_after(seconds)
                .into()
        })
    }
}

impl<S, B> Transform<S, ServiceRequest> for RateLimit
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = Gated<S, Self>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Gated::new(service, self.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_gets_its_burst_and_then_what_time_gives_back() {
        let limit = RateLimit::per_client(2, Duration::from_secs(10)).burst(3);
        let client = address(1);
        for _ in 0..3 {
            assert_eq!(limit.take(client), Ok(()));
        }
        assert_eq!(limit.take(client), Err(Duration::from_secs(5)));
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(limit.take(client), Err(Duration::from_secs(1)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(limit.take(client), Ok(()));
        assert!(limit.take(client).is_err());
        tokio::time::advance(Duration::from_secs(3600)).await;
        for _ in 0..3 {
            assert_eq!(limit.take(client), Ok(()));
        }
        assert!(limit.take(client).is_err());
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let limit = RateLimit::per_client(1, Duration::from_secs(10));
        let take = |text: &str| limit.take(text.parse().unwrap()).is_ok();
        assert!(take("2001:db8::1"));
        assert!(!take("2001:db8::ffff:1"));
        assert!(take("2001:db8:0:1::1"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_clients_that_are_known_is_bounded() {
        let limit = RateLimit::per_client(1, Duration::from_secs(10));
        let known = u32::try_from(CLIENTS).unwrap();
        for number in 0..known {
            assert_eq!(limit.take(address(number)), Ok(()));
        }
        assert_eq!(limit.take(address(known)), Ok(()));
        assert!(limit.take(address(known + 1)).is_err());
        assert!(limit.take(address(7)).is_err());
        assert_eq!(limit.clients.lock().whole_at.len(), CLIENTS + 1);
        tokio::time::advance(Duration::from_secs(11)).await;
        assert_eq!(limit.take(address(known + 1)), Ok(()));
        assert_eq!(limit.clients.lock().whole_at.len(), 1);
    }

    #[test]
    fn extreme_limits_are_no_panic() {
        let client = address(1);
        let never = RateLimit::per_client(0, Duration::MAX).burst(u32::MAX);
        assert_eq!(never.take(client), Ok(()));
        let free = RateLimit::per_client(1, Duration::ZERO);
        for _ in 0..10 {
            assert_eq!(free.take(client), Ok(()));
        }
    }
}
