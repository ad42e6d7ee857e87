//! An application that is asked who a client is: what it answers is the test's affair.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::Result;
use fanfare_rig::eventually;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

type Answer = dyn Fn(&HttpRequest) -> HttpResponse + Send + Sync;

/// A running application; dropping it stops it.
pub(crate) struct Application {
    address: SocketAddr,
    state: Arc<State>,
    handle: ServerHandle,
}

struct State {
    answer: Box<Answer>,
    /// A question takes a permit and keeps it.
    permits: Semaphore,
    waiting: AtomicUsize,
    asked: Mutex<Vec<Vec<(String, String)>>>,
}

impl Application {
    /// One that answers at once.
    pub(crate) fn start(
        answer: impl Fn(&HttpRequest) -> HttpResponse + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::on(
            TcpListener::bind("127.0.0.1:0")?,
            answer,
            Semaphore::MAX_PERMITS,
        )
    }

    /// One that answers when it is [released](Self::release).
    pub(crate) fn held(
        answer: impl Fn(&HttpRequest) -> HttpResponse + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::on(TcpListener::bind("127.0.0.1:0")?, answer, 0)
    }

    /// One on a listener.
    pub(crate) fn on(
        listener: TcpListener,
        answer: impl Fn(&HttpRequest) -> HttpResponse + Send + Sync + 'static,
        permits: usize,
    ) -> Result<Self> {
        let state = Arc::new(State {
            answer: Box::new(answer),
            permits: Semaphore::new(permits),
            waiting: AtomicUsize::new(0),
            asked: Mutex::default(),
        });
        let address = listener.local_addr()?;
        let data = web::Data::from(Arc::clone(&state));
        let app = move || {
            App::new()
                .app_data(data.clone())
                .default_service(web::to(respond))
        };
        let server = HttpServer::new(app)
            .workers(1)
            .disable_signals()
            .listen(listener)?
            .run();
        let handle = server.handle();
        tokio::spawn(server);
        Ok(Self {
            address,
            state,
            handle,
        })
    }

    /// The setting that has it asked.
    pub(crate) fn setting(&self) -> String {
        format!("auth.url=http://{}/auth/?from=fanfare", self.address)
    }

    /// The headers of each question so far, with the one line `:path`.
    pub(crate) fn asked(&self) -> Vec<Vec<(String, String)>> {
        self.state.asked.lock().clone()
    }

    /// Lets questions be answered.
    pub(crate) fn release(&self, questions: usize) {
        self.state.permits.add_permits(questions);
    }

    /// Waits until so many questions are unanswered.
    pub(crate) async fn waiting(&self, questions: usize) -> Result<()> {
        let what = format!("{questions} questions");
        eventually(Duration::from_secs(10), &what, async || {
            let waiting = self.state.waiting.load(Ordering::SeqCst);
            Ok((waiting == questions).then_some(()))
        })
        .await
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        // The stop begins here; the future only waits for its end.
        drop(self.handle.stop(false));
    }
}

async fn respond(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut headers: Vec<_> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
        .collect();
    headers.push((":path".to_owned(), request.uri().to_string()));
    headers.push((":method".to_owned(), request.method().to_string()));
    state.asked.lock().push(headers);
    state.waiting.fetch_add(1, Ordering::SeqCst);
    let permit = state.permits.acquire().await;
    state.waiting.fetch_sub(1, Ordering::SeqCst);
    match permit {
        Ok(permit) => permit.forget(),
        Err(_closed) => return HttpResponse::InternalServerError().finish(),
    }
    (state.answer)(&request)
}
