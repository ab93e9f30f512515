// Long work of the server, told event by event: text that is written, a model that learns.
import { headers, type Params, query, reason } from './client';

export interface Happened {
  event: string;
  data: unknown;
}

// parts cuts what has come of a stream into events, and returns what is not whole yet.
function parts(text: string, tell: (h: Happened) => void): string {
  const blocks = text.split('\n\n');
  const rest = blocks.pop() ?? '';
  for (const block of blocks) {
    let event = 'message';
    const data: string[] = [];
    for (const line of block.split('\n')) {
      if (line.startsWith('event: ')) event = line.slice(7);
      if (line.startsWith('data: ')) data.push(line.slice(6));
    }
    if (data.length > 0) tell({ event, data: JSON.parse(data.join('\n')) as unknown });
  }
  return rest;
}

// stream asks for the work and tells each event, until the last one or until the signal ends it. It sends parameters in the
// body, which may be long.
export async function stream(name: string, params: Params, signal: AbortSignal, tell: (h: Happened) => void): Promise<void> {
  const answer = await fetch('api/' + name, {
    method: 'POST', signal, body: query(params).slice(1),
    headers: { ...headers(name), Accept: 'text/event-stream', 'Content-Type': 'application/x-www-form-urlencoded' },
  });
  if (!answer.ok || !answer.body) throw new Error(await reason(answer));
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text = parts(text + value, (h) => {
      if (h.event === 'failed' && typeof h.data === 'object' && h.data !== null && 'error' in h.data) throw new Error(String(h.data.error));
      tell(h);
    });
  }
}
