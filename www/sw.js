// Keeps the app on this device: opens with no network on any route, updates as a whole.
//
// A template: the build fills in the two constants below. Every file of one build is fetched before that build is
// used, so a page never runs a mixture. A new build waits until the page says "skip-waiting" (or its last tab closes).
'use strict';

const BUILD = /*{build}*/ 'development';
const FILES = /*{files}*/ [];

const PREFIX = 'starling-app-';
const CACHE = PREFIX + BUILD;
const SHELL = '/index.html';
// What only the relay can answer. Never cached, never answered from here.
const LIVE = ['/api', '/signal', '/link', '/ws', '/healthz', '/readyz', '/metrics', '/monitor', '/admin', '/feed', '/peers', '/gossip'];
// A relay that does not answer a navigation by then is treated as absent: the cached shell opens at once.
const NAVIGATION_MS = 3000;

const isLive = path => LIVE.some(prefix => path === prefix || path.startsWith(prefix + '/'));

self.addEventListener('install', event => {
  event.waitUntil((async () => {
    const cache = await caches.open(CACHE);
    // Past the HTTP cache: the shell keeps its name from build to build.
    await cache.addAll(FILES.map(file => new Request(file, { cache: 'reload' })));
  })());
});

self.addEventListener('activate', event => {
  event.waitUntil((async () => {
    const names = await caches.keys();
    await Promise.all(names.filter(name => name.startsWith(PREFIX) && name !== CACHE).map(name => caches.delete(name)));
    // The first visit is offline-ready without a reload.
    await self.clients.claim();
  })());
});

self.addEventListener('message', event => {
  if (event.data?.type === 'skip-waiting') self.skipWaiting();
});

self.addEventListener('fetch', event => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== self.location.origin || isLive(url.pathname)) return;
  if (request.mode === 'navigate') event.respondWith(navigation(request));
  else if (FILES.includes(url.pathname)) event.respondWith(kept(request, url.pathname));
});

// The relay first, since a permalink it renders may hold what this device never saw; the shell when it cannot answer.
async function navigation(request) {
  const impatience = new AbortController();
  const timer = setTimeout(() => impatience.abort(), NAVIGATION_MS);
  try {
    const answer = await fetch(request, { signal: impatience.signal });
    // A gateway in front of a relay that is down answers for it; the app can do better.
    if (answer.status < 500) return answer;
  } catch {
    // No network, no relay, or no patience left.
  } finally {
    clearTimeout(timer);
  }
  return (await caches.match(SHELL, { cacheName: CACHE })) ?? Response.error();
}

// Files of this build: from the cache, and from the network should the browser have evicted them.
async function kept(request, path) {
  return (await caches.match(path, { cacheName: CACHE })) ?? fetch(request);
}
