// Tokens that may come next, with their probabilities as bars; and the token that scores are about.
import type { ComponentChildren } from 'preact';
import { Num, percent } from '../number';
import { go, useApp } from '../state';
import { Piece, spoken } from '../text';
import { Bar, type Column, Table } from './table';

interface TokenButtonProps {
  id: number;
  text: string;
}

// TokenButton is a token of the vocabulary. Choosing it makes it the one that scores, ranks and attributions are about.
export function TokenButton({ id, text }: TokenButtonProps) {
  const { token } = useApp();
  const on = token === id;
  return (
    <button type="button" class="quiet" aria-pressed={on} aria-label={`${spoken(text)}, token ${id}`} title={`id ${id}`} onClick={() => go({ token: on ? -1 : id })}>
      <Piece text={text} />
    </button>
  );
}

export interface Candidate {
  id: number;
  text: string;
  prob: number | null;
}

interface CandidatesProps<C extends Candidate> {
  caption: string;
  list: C[];
  extra?: Column<C>[];
  showCaption?: boolean;
  plain?: boolean; // tokens of another vocabulary: none can be chosen
}

export function Candidates<C extends Candidate>({ caption, list, extra = [], showCaption, plain }: CandidatesProps<C>) {
  const widest = Math.max(...list.map((c) => c.prob ?? 0), 1e-9);
  return (
    <Table
      caption={caption} rows={list} {...(showCaption === undefined ? {} : { showCaption })}
      columns={[
        { head: 'Token', cell: (c) => (plain ? <Piece text={c.text} /> : <TokenButton id={c.id} text={c.text} />) },
        { head: 'Probability', number: true, cell: (c) => <Num value={c.prob} as={percent} /> },
        { head: 'Bar', cell: (c) => <Bar share={(c.prob ?? 0) / widest} /> },
        ...extra,
      ]}
    />
  );
}

// Sought tells which token is looked for, and takes the choice back.
export function Sought({ text, children }: { text: string | undefined; children?: ComponentChildren }) {
  const { token } = useApp();
  return (
    <p class="sought">
      {token < 0
        ? <>The figures are about the most likely token. Choose another one in any list of tokens.</>
        : <>The figures are about {text === undefined ? `token ${token}` : <Piece text={text} />}. <button type="button" class="quiet" onClick={() => go({ token: -1 })}>Use the most likely one</button></>}
      {children}
    </p>
  );
}
