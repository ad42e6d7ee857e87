// The demo page: two sockets of this node, and pushes through its HTTP API.
//
// Every element that a browser test may rely on has the same `id` and `data-testid`:
//   chat       name room join message send chat-log chat-status second-tab
//   notify     notify-connect notify-status own-channel own-copy notify-list
//   push       push-kind push-target push-text push-key push-send push-result curl curl-copy
//   live view  live-list live-pause live-clear count-received count-sent count-reconnects
// A status badge carries its state in `data-state`: idle, connecting, open, waiting, closed.
// `push-result` carries `data-state` good or bad. One `li` per message; in `live-list` its
// children have the classes `when`, `from` and `raw`; in `chat-log` what was said is `li.said`.
// The query prefills: `?room=..&name=..`; with a room the page joins by itself.
"use strict";

const ROWS = 200;
const SHOWN_CHARACTERS = 4000;
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 15000;
const STABLE_MS = 5000;

const CLOSE_WORDS = {
  1000: "the conversation is over",
  1001: "the node is shutting down",
  1002: "the WebSocket protocol was broken",
  1003: "this kind of data is not carried here",
  1005: "closed without a code",
  1006: "refused or lost without a close",
  1007: "the text was not UTF-8",
  1008: "a rule was broken, or this tab read too slowly",
  1009: "the message was too big",
  1011: "the session failed on the server",
  1012: "the node restarts",
  1013: "the node is busy",
  1014: "a proxy on the way failed",
};

const element = (id) => document.getElementById(id);
const counts = { received: 0, sent: 0, reconnects: 0 };

function count(what) {
  counts[what] += 1;
  element(`count-${what}`).textContent = counts[what].toLocaleString("en");
}

// What a client should make of a close code, as the server's table has it. 1006 is never sent:
// it is the browser's word for a connection that broke or was refused.
function shouldReconnect(code) {
  return code === 1001 || code === 1006 || (code >= 1011 && code <= 1014) || (code >= 4000 && code <= 4999);
}

function closeWords(event) {
  const words = event.reason || CLOSE_WORDS[event.code] || "closed by the application";
  return `${words} (${event.code})`;
}

function clock() {
  const now = new Date();
  return `${now.toTimeString().slice(0, 8)}.${String(now.getMilliseconds()).padStart(3, "0")}`;
}

function node(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function parseObject(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

// A connection that comes back by itself: exponential backoff with jitter, so that the clients of
// a node that went away do not all return in the same moment.
class Connection {
  constructor(badge, { opened, message, left }) {
    this.badge = badge;
    this.on = { opened, message, left };
    this.socket = null;
    this.url = null;
    this.attempt = 0;
    this.timer = 0;
    this.stable = 0;
    window.addEventListener("online", () => this.timer && this.dial());
  }

  get open() {
    return this.socket !== null && this.socket.readyState === WebSocket.OPEN;
  }

  // Connected, or trying to be.
  get wanted() {
    return this.url !== null;
  }

  start(path) {
    this.stop();
    const url = new URL(path, window.location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    this.url = url.href;
    this.attempt = 0;
    this.dial();
  }

  stop() {
    const socket = this.socket;
    this.forget();
    this.url = null;
    if (socket) socket.close(1000);
    this.show("idle", "not connected");
  }

  send(text) {
    this.socket.send(text);
    count("sent");
  }

  dial() {
    this.forget();
    this.show("connecting", "connecting");
    const socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onopen = () => {
      this.stable = setTimeout(() => { this.attempt = 0; }, STABLE_MS);
      this.show("open", "connected");
      this.on.opened();
    };
    socket.onmessage = (event) => {
      count("received");
      this.on.message(event.data);
    };
    socket.onclose = (event) => this.closed(event);
  }

  closed(event) {
    const words = closeWords(event);
    this.forget();
    if (!shouldReconnect(event.code)) {
      this.url = null;
      this.show("closed", words);
      this.on.left(words);
      return;
    }
    const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** this.attempt);
    const wait = ceiling / 2 + Math.random() * (ceiling / 2);
    this.attempt += 1;
    this.timer = setTimeout(() => {
      count("reconnects");
      this.dial();
    }, wait);
    this.show("waiting", `again in ${(wait / 1000).toFixed(1)} s`);
    this.badge.title = words;
    this.on.left(words);
  }

  forget() {
    clearTimeout(this.timer);
    clearTimeout(this.stable);
    this.timer = 0;
    if (this.socket) {
      this.socket.onopen = null;
      this.socket.onmessage = null;
      this.socket.onclose = null;
      this.socket = null;
    }
  }

  show(state, words) {
    this.badge.dataset.state = state;
    this.badge.textContent = words;
    this.badge.title = "";
  }
}

// Appends to a list that keeps its newest rows and follows them unless the reader scrolled up.
function append(list, item) {
  const following = list.scrollHeight - list.scrollTop - list.clientHeight < 48;
  list.append(item);
  while (list.childElementCount > ROWS) list.firstElementChild.remove();
  if (following) list.scrollTop = list.scrollHeight;
}

function asText(data) {
  if (typeof data === "string") return data;
  const bytes = new Uint8Array(data);
  const start = Array.from(bytes.slice(0, 32), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return `binary, ${bytes.length} bytes: ${start}${bytes.length > 32 ? " …" : ""}`;
}

function shortened(text) {
  if (text.length <= SHOWN_CHARACTERS) return text;
  return `${text.slice(0, SHOWN_CHARACTERS)} … (${text.length.toLocaleString("en")} characters)`;
}

// ---- live view: what arrives, untouched

const live = { list: element("live-list"), pause: element("live-pause"), held: null, heldCount: 0 };

function liveRow(source, text) {
  const row = node("li");
  row.append(node("time", "when", clock()), node("span", "from", source), node("span", "raw", shortened(text)));
  if (live.held) {
    live.held.push(row);
    live.heldCount += 1;
    if (live.held.length > ROWS) live.held.shift();
    live.pause.textContent = `Go on (${live.heldCount.toLocaleString("en")} waiting)`;
    return;
  }
  showRow(row);
}

function showRow(row) {
  live.list.prepend(row);
  while (live.list.childElementCount > ROWS) live.list.lastElementChild.remove();
}

function toggleLive() {
  const held = live.held;
  live.held = held ? null : [];
  live.heldCount = 0;
  if (held) held.forEach(showRow);
  live.pause.textContent = live.held ? "Go on" : "Pause";
  live.pause.setAttribute("aria-pressed", String(live.held !== null));
}

live.pause.addEventListener("click", toggleLive);
element("live-clear").addEventListener("click", () => live.list.replaceChildren());

// ---- chat: the text of a message is JSON of its own, {"name": .., "text": ..}

const chat = { log: element("chat-log"), name: element("name"), room: element("room"), message: element("message"), joined: "" };

chat.connection = new Connection(element("chat-status"), {
  opened() {
    append(chat.log, node("li", "told", `You are in ${chat.joined}.`));
    chatControls();
  },
  message(data) {
    const text = asText(data);
    liveRow(`chat/${chat.joined}`, text);
    const said = parseObject(text) ?? {};
    const item = node("li", "said");
    if (typeof said.text === "string" && typeof said.name === "string") {
      item.classList.toggle("mine", said.name === chat.name.value);
      item.append(node("b", "", said.name), node("span", "", shortened(said.text)));
    } else {
      item.append(node("span", "", shortened(typeof said.message === "string" ? said.message : text)));
    }
    append(chat.log, item);
  },
  left(words) {
    append(chat.log, node("li", "told", `Disconnected: ${words}.`));
    chatControls();
  },
});

function chatControls() {
  const { open, wanted } = chat.connection;
  element("join").textContent = wanted ? "Leave" : "Join";
  element("send").disabled = !open;
  chat.message.disabled = !open;
  chat.name.readOnly = wanted;
  chat.room.readOnly = wanted;
  const query = new URLSearchParams({ room: chat.room.value, name: `${chat.name.value || "guest"} 2` });
  element("second-tab").href = `/?${query}`;
}

function joinRoom() {
  chat.joined = chat.room.value;
  chat.connection.start(`/ws/chat/${encodeURIComponent(chat.joined)}/`);
  chatControls();
}

element("chat-join").addEventListener("submit", (event) => {
  event.preventDefault();
  if (chat.connection.wanted) {
    chat.connection.stop();
    append(chat.log, node("li", "told", `You left ${chat.joined}.`));
    chatControls();
  } else {
    joinRoom();
    chat.message.focus();
  }
});

element("chat-send").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!chat.connection.open) return;
  chat.connection.send(JSON.stringify({ name: chat.name.value, text: chat.message.value }));
  chat.message.value = "";
  chat.message.focus();
});

chat.name.addEventListener("input", chatControls);
chat.room.addEventListener("input", chatControls);

// ---- notifications: the first frame is the welcome with this session's channel

const notify = { list: element("notify-list"), own: element("own-channel"), channel: "" };

notify.connection = new Connection(element("notify-status"), {
  opened: notifyControls,
  message(data) {
    const text = asText(data);
    liveRow("notifications", text);
    const event = parseObject(text) ?? {};
    if (!notify.channel && event.type === "welcome" && typeof event.channel === "string") {
      setChannel(event.channel);
      return;
    }
    const item = node("li");
    item.append(node("time", "", clock()), node("span", "", shortened(typeof event.message === "string" ? event.message : text)));
    append(notify.list, item);
  },
  left() {
    setChannel("");
    notifyControls();
  },
});

function setChannel(channel) {
  notify.channel = channel;
  notify.own.textContent = channel || "none yet";
  element("own-copy").disabled = !channel;
}

function notifyControls() {
  const { wanted } = notify.connection;
  element("notify-connect").textContent = wanted ? "Disconnect" : "Connect";
}

function startNotifications() {
  notify.connection.start("/ws/notifications");
  notifyControls();
}

element("notify-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (notify.connection.wanted) {
    notify.connection.stop();
    setChannel("");
    notifyControls();
  } else {
    startNotifications();
  }
});

// ---- push: one POST, in the page and as a command

const push = { kind: element("push-kind"), target: element("push-target"), text: element("push-text"), key: element("push-key"), result: element("push-result") };

const TARGETS = {
  channel: { label: "Channel of another tab", hint: "paste it here", path: (name) => `/channels/${name}/events` },
  user: { label: "User id, where auth.url names users", hint: "42", path: (name) => `/users/${name}/events` },
  group: { label: "Group, such as chat_lobby or notifications", hint: "notifications", path: (name) => `/groups/${name}/events` },
  all: { label: "Everyone on every node", hint: "", path: () => "/broadcast" },
};

function pushRequest() {
  const target = push.target.value.trim();
  const path = TARGETS[push.kind.value].path(encodeURIComponent(target || push.kind.value.toUpperCase()));
  return { url: `${window.location.origin}/api/v1${path}`, body: JSON.stringify({ type: "chat.message", message: push.text.value }) };
}

function curlCommand(key) {
  const { url, body } = pushRequest();
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  return `curl ${quoted(url)} \\\n  -H "Authorization: Bearer ${key}" \\\n  -d ${quoted(body)}`;
}

function pushControls() {
  const target = TARGETS[push.kind.value];
  element("push-target-label").textContent = target.label;
  push.target.placeholder = target.hint;
  push.target.disabled = push.kind.value === "all";
  push.target.required = !push.target.disabled;
  element("curl").textContent = curlCommand(push.key.value ? "••••••••" : "$FANFARE_API_KEY");
}

async function pushEvent() {
  const { url, body } = pushRequest();
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${push.key.value}` };
  try {
    const answer = await fetch(url, { method: "POST", headers, body });
    const detail = await answer.json().catch(() => null);
    if (answer.ok) return ["good", `${answer.status}: published`];
    return ["bad", `${answer.status}: ${detail?.error?.message ?? answer.statusText}`];
  } catch {
    return ["bad", "the node did not answer"];
  }
}

element("push-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const [state, words] = await pushEvent();
  push.result.dataset.state = state;
  push.result.textContent = words;
  if (state === "good") count("sent");
});
element("push-form").addEventListener("input", pushControls);

// ---- copying: the clipboard exists in secure contexts only; elsewhere the text is selected

async function copy(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
    element("announce").textContent = "Copied.";
    return true;
  } catch {
    window.getSelection().selectAllChildren(shown);
    element("announce").textContent = "Selected: copy it with the keyboard.";
    return false;
  }
}

function copyButton(id, text, shown) {
  const button = element(id);
  button.addEventListener("click", async () => {
    button.textContent = (await copy(text(), shown)) ? "Copied" : "Selected";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}

copyButton("own-copy", () => notify.channel, notify.own);
copyButton("curl-copy", () => curlCommand(push.key.value || "$FANFARE_API_KEY"), element("curl"));

const query = new URLSearchParams(window.location.search);
chat.name.value = query.get("name") || `guest-${Math.random().toString(36).slice(2, 6)}`;
chat.room.value = query.get("room") || "lobby";
chatControls();
pushControls();
startNotifications();
if (query.has("room") && chat.room.checkValidity()) joinRoom();
