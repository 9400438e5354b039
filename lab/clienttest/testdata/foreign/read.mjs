// Reads the stand-in with a client that knows nothing of it. Each answer is checked by the
// client against schemas made from Atlassian's documents; what comes out is one line of JSON.
import { createV1Client, createV2Client } from 'confluence.js';

const { SITE: host, EMAIL: email, TOKEN: apiToken } = process.env;
const clients = auth => ({ v1: createV1Client({ host, auth }), v2: createV2Client({ host, auth }) });
const { v1, v2 } = clients({ type: 'basic', email, apiToken });
const stranger = clients({ type: 'basic', email, apiToken: 'wrong' });

const cursorOf = list => list._links?.next && new URL(list._links.next, host).searchParams.get('cursor');

// walk follows a list to its end by its cursors.
async function walk(read, limit) {
  const out = { ids: [], calls: 0 };
  let cursor;
  do {
    const list = await read({ limit, cursor });
    out.calls++;
    out.ids.push(...list.results.map(row => row.id));
    cursor = cursorOf(list);
  } while (cursor && out.calls < 1000);
  return out;
}

async function errorOf(call) {
  try {
    await call();
    return { none: true };
  } catch (err) {
    return { name: err.name, status: err.status };
  }
}

const spaces = await v2.space.getSpaces({ keys: ['DEMO'] });
const space = spaces.results[0];
const page = await v2.page.getPageById({ id: 65666, bodyFormat: 'storage', includeLabels: true });
const report = {
  spaces: spaces.results.map(s => s.key),
  pages: await walk(at => v2.page.getPagesInSpace({ id: space.id, status: ['current', 'archived'], ...at }), 7),
  page: { title: page.title, version: page.version.number, body: page.body.storage.value },
  search: await walk(at => v1.content.searchContentByCQL({ cql: 'space = DEMO and type = page order by title', ...at }), 9),
  found: (await v1.search.searchByCQL({ cql: 'title = "Rotate the signing keys"' })).results.map(r => r.content.id),
  me: (await v1.users.getCurrentUser({})).accountId,
  labels: (await v2.label.getPageLabels({ id: 65666 })).results.map(l => l.name),
  ancestors: (await v2.ancestors.getPageAncestors({ id: 65614 })).results.map(a => a.id),
  comments: (await v2.comment.getPageFooterComments({ id: 65662, bodyFormat: 'storage' })).results.length,
  attachments: (await v2.attachment.getPageAttachments({ id: 65611 })).results.map(a => a.title),
  restrictions: Object.keys(await v1.contentRestrictions.getRestrictionsByOperation({ id: '65706' })).filter(k => !k.startsWith('_')),
  errors: {
    missing: await errorOf(() => v2.page.getPageById({ id: 4711 })),
    draft: await errorOf(() => v2.page.getPages({ status: ['draft'] })),
    cql: await errorOf(() => v1.search.searchByCQL({ cql: 'status = current' })),
    tokenV2: await errorOf(() => stranger.v2.page.getPageById({ id: 65666 })),
    tokenV1: await errorOf(() => stranger.v1.users.getCurrentUser({})),
  },
};

// What the site's control route is told makes the same client see the site's bad days.
async function fault(kind, more = {}) {
  const set = await fetch(`${host}/_sandbox/faults`, {
    method: 'POST',
    body: JSON.stringify({ seed: 1, faults: [{ kind, route: '/wiki/api/v2/spaces', times: 1, ...more }] }),
  });
  if (!set.ok) throw new Error(await set.text());
  return errorOf(() => v2.space.getSpaces({}));
}
report.errors.limited = await fault('too-many-requests', { retry_after: 1847 });
report.errors.unavailable = await fault('server-error', { status: 503 });
report.errors.scope = await fault('scope');
report.errors.html = await fault('html');
report.errors.truncated = await fault('truncated-json');
report.errors.reset = await fault('reset');

console.log(JSON.stringify(report));
