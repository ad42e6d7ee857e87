//! A game, steer onto the coin: `cargo run -p fanfare --example game`, then open what it prints.
//!
//! The world is shared by all sessions of the process. Each session has a timer that moves its
//! player and sends it the world. Events for all players go through a group.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::{App, web};
use fanfare::{
    Accept, CloseCode, Cluster, Consumer, JsonFrame, Outcome, Reject, Request, Server, Session,
    consumer,
};
use serde::{Deserialize, Serialize};

/// The number of columns of the board, and of its rows.
pub(crate) const SIZE: u32 = 16;
/// How often the world moves.
pub(crate) const TICK: Duration = Duration::from_millis(100);
const GROUP: &str = "game";

/// A message of a client.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Command {
    Turn { direction: Direction },
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Direction {
    Up,
    Down,
    Left,
    #[default]
    Right,
}

/// An event for all players.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type")]
enum GameEvent {
    #[serde(rename = "game.caught")]
    Caught { player: String, score: u32 },
}

/// A message to a client.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Told<'a> {
    World { coin: Place, players: Vec<Seen> },
    Caught { player: &'a str, score: &'a u32 },
}

#[derive(Serialize)]
struct Seen {
    at: Place,
    score: u32,
}

type Place = (u32, u32);

/// The shared state of all sessions. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct World(Arc<Mutex<Board>>);

#[derive(Default)]
struct Board {
    coin: Place,
    /// By channel name.
    players: BTreeMap<String, Player>,
}

#[derive(Default)]
struct Player {
    at: Place,
    direction: Direction,
    score: u32,
}

/// One player's session.
struct Game {
    world: World,
    player: String,
    name: String,
}

/// The message of the timer.
#[derive(Clone)]
struct Tick;

impl Consumer<Tick, JsonFrame<Command>> for Game {
    type Event = GameEvent;
    const GROUPS: &'static [&'static str] = &[GROUP];

    async fn connect(
        &mut self,
        session: &mut Session<Tick>,
        request: &Request,
    ) -> Result<Accept, Reject> {
        self.name = request.param("name")?;
        self.player = session.channel().to_string();
        self.world.board().enter(&self.player);
        session.every(TICK, Tick);
        Ok(Accept::new())
    }

    async fn receive(
        &mut self,
        _: &mut Session<Tick>,
        JsonFrame(command): JsonFrame<Command>,
    ) -> Outcome {
        let Command::Turn { direction } = command;
        self.world.board().turn(&self.player, direction);
        Ok(())
    }

    async fn message(&mut self, session: &mut Session<Tick>, _: Tick) -> Outcome {
        // The lock is not held while anything is sent.
        let (caught, told) = {
            let mut board = self.world.board();
            (board.step(&self.player), board.seen())
        };
        session.send_json(&told).await?;
        if let Some(score) = caught {
            let player = self.name.clone();
            let caught = GameEvent::Caught { player, score };
            session.group_send(GROUP, &caught).await?;
        }
        Ok(())
    }

    async fn event(&mut self, session: &mut Session<Tick>, event: &GameEvent) -> Outcome {
        let GameEvent::Caught { player, score } = event;
        let told = Told::Caught { player, score };
        Ok(session.send_json(&told).await?)
    }

    async fn disconnect(&mut self, _: &mut Session<Tick>, _: CloseCode) {
        self.world.board().players.remove(&self.player);
    }
}

impl World {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    fn enter(&mut self, player: &str) {
        if self.players.is_empty() {
            self.coin = (4, 0);
        }
        self.players.insert(player.to_owned(), Player::default());
    }

    fn turn(&mut self, player: &str, direction: Direction) {
        if let Some(player) = self.players.get_mut(player) {
            player.direction = direction;
        }
    }

    /// Moves a player; the new score, if that caught the coin.
    fn step(&mut self, player: &str) -> Option<u32> {
        let player = self.players.get_mut(player)?;
        let (x, y) = player.at;
        player.at = match player.direction {
            Direction::Up => (x, (y + SIZE - 1) % SIZE),
            Direction::Down => (x, (y + 1) % SIZE),
            Direction::Left => ((x + SIZE - 1) % SIZE, y),
            Direction::Right => ((x + 1) % SIZE, y),
        };
        if player.at != self.coin {
            return None;
        }
        player.score += 1;
        // Random enough for a coin.
        self.coin = ((x * 7 + 3) % SIZE, (y * 5 + 9) % SIZE);
        Some(player.score)
    }

    fn seen(&self) -> Told<'static> {
        let seen = |player: &Player| Seen {
            at: player.at,
            score: player.score,
        };
        let players = self.players.values().map(seen).collect();
        Told::World {
            coin: self.coin,
            players,
        }
    }
}

/// The world is created outside, because the App is built on every worker thread.
pub(crate) fn routes(world: World) -> impl FnOnce(&mut web::ServiceConfig) {
    let game = move || {
        let (player, name) = (String::new(), String::new());
        Game {
            world: world.clone(),
            player,
            name,
        }
    };
    let page = async || web::Html::new(include_str!("game.html"));
    move |app| {
        app.route("/", web::get().to(page));
        app.service(consumer("/ws/game/{name:str}/", game));
    }
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt::init();
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8000".into());
    let world = World::default();
    let app = move || App::new().configure(routes(world.clone()));
    let server = Server::new(Cluster::memory()?, app).bind(address)?;
    println!("game: open {server}/?name=ann and {server}/?name=bob");
    Ok(server.serve().await?)
}
