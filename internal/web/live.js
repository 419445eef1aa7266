"use strict";
// Keeps the page up to date without losing the place of its reader: what is open, focused, typed or scrolled to stays.
(() => {
	const address = document.currentScript.dataset.events;
	const root = document.documentElement;
	if (new URLSearchParams(location.search).has("refresh")) return; // the reader chose to reload the page
	let stream, timer, busy = false, due = false, paused = false, opened = false, rest = 2000;

	const keyOf = n => n.nodeType !== 1 ? n.nodeName : n.id || n.getAttribute("data-key") || n.nodeName + "." + n.getAttribute("class");

	// update makes an element like another, but for what is the reader's.
	function update(old, now) {
		if (old.nodeType !== 1) {
			if (old.data !== now.data) old.data = now.data;
			return;
		}
		if (old.isEqualNode(now) || old.matches("input, select, textarea, script, [data-own]")) return;
		for (const a of now.attributes) if (a.name !== "open" && old.getAttribute(a.name) !== a.value) old.setAttribute(a.name, a.value);
		for (const a of [...old.attributes]) if (a.name !== "open" && !now.hasAttribute(a.name)) old.removeAttribute(a.name);
		children(old, now);
	}

	function children(old, now) {
		const had = new Map();
		for (const n of old.childNodes) {
			if (!had.has(keyOf(n))) had.set(keyOf(n), []);
			had.get(keyOf(n)).push(n);
		}
		const pairs = [...now.childNodes].map(n => [had.get(keyOf(n))?.shift(), n]);
		for (const gone of had.values()) for (const n of gone) n.remove();
		let at = old.firstChild;
		for (const [kept, n] of pairs) {
			if (!kept) {
				old.insertBefore(n, at);
				continue;
			}
			if (kept === at) at = at.nextSibling;
			else old.insertBefore(kept, at);
			update(kept, n);
		}
	}

	// show replaces the page, and leaves the reader where they are.
	function show(page) {
		const focus = document.activeElement, link = focus?.getAttribute?.("href");
		const near = scrollY > 0 && [...document.querySelectorAll("[data-key], h2")].find(e => e.getBoundingClientRect().top >= 0);
		const top = near && near.getBoundingClientRect().top;
		children(document.body, page.body);
		document.title = page.title;
		document.querySelector("link[rel=icon]").href = page.querySelector("link[rel=icon]").getAttribute("href");
		const stale = document.querySelector(".stale");
		stale.replaceWith(stale.cloneNode(true)); // its time begins again
		if (focus && document.activeElement !== focus) {
			const to = focus.isConnected ? focus : link && document.querySelector(`a[href="${CSS.escape(link)}"]`);
			to?.focus({preventScroll: true});
		}
		if (near && near.isConnected) scrollBy(0, near.getBoundingClientRect().top - top);
	}

	async function refresh() {
		due = true;
		if (busy || paused || document.hidden) return;
		busy = true;
		const began = performance.now();
		due = false;
		try {
			const answer = await fetch(location.href, {headers: {Accept: "text/html"}, cache: "no-store"});
			if (answer.ok) {
				const page = new DOMParser().parseFromString(await answer.text(), "text/html");
				if (!paused) show(page);
			}
		} catch { // the page says when it is too old
		}
		rest = Math.max(2000, 10 * (performance.now() - began));
		setTimeout(() => {
			busy = false;
			if (due) refresh();
		}, rest);
	}

	// listen opens the stream; without one the page is fetched twice a minute.
	function listen() {
		stream?.close();
		clearInterval(timer);
		if (paused) return;
		timer = setInterval(() => {
			if (stream.readyState === EventSource.CLOSED) listen();
			refresh();
		}, 30000);
		stream = new EventSource(address);
		stream.onmessage = refresh;
		stream.onopen = () => { // again: what happened meanwhile is not known
			if (opened) refresh();
			opened = true;
		};
	}

	document.addEventListener("click", event => {
		const button = event.target.closest?.(".live-switch");
		if (!button) return;
		paused = !paused;
		button.textContent = paused ? "Resume updates" : "Pause updates";
		listen();
		if (!paused) refresh();
	});
	document.addEventListener("visibilitychange", () => { if (due) refresh(); });
	addEventListener("pagehide", () => stream?.close());
	addEventListener("pageshow", event => { if (event.persisted) { listen(); refresh(); } });
	root.style.overflowAnchor = "none"; // show does it
	root.classList.add("live");
	listen();
})();
