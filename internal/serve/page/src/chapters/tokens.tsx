import { type Info, reading } from '../info';
import { Panel } from '../parts/panel';
import { TokenStrip } from '../parts/strip';
import { Table } from '../parts/table';
import { go, useApp } from '../state';
import { Piece } from '../text';
import { positionOf } from '../textview';
import { Num } from '../number';
import { TokensProse } from './prose';

export function Tokens({ info }: { info: Info }) {
  const state = useApp();
  return (
    <>
      <TokensProse info={info} />
      <div class="panels">
        <Panel
          view="tokens" params={reading(state.text)} title="The text, cut up"
          about="Choose a token: all chapters below look at it. A dot stands for a space, ↵ for a line break."
          table={(r) => (
            <Table
              caption="The tokens of the text" rows={r.pieces ?? []} chosen={(_, i) => i === positionOf(state, r.pieces ?? [])}
              columns={[
                { head: 'Position', number: true, cell: (_, i) => i },
                { head: 'Token', cell: (t) => <Piece text={t.text} /> },
                { head: 'Id', number: true, cell: (t) => <Num value={t.id} as={String} /> },
                { head: 'Bytes (hexadecimal)', cell: (t) => <code>{t.bytes}</code> },
                { head: 'From byte', number: true, cell: (t) => (t.from < 0 ? 'none' : <Num value={t.from} />) },
                { head: 'To byte', number: true, cell: (t) => (t.to < 0 ? 'none' : <Num value={t.to} />) },
              ]}
            />
          )}
        >
          {(r) => {
            const pieces = r.pieces ?? [];
            const at = positionOf(state, pieces);
            const one = pieces[at];
            return (
              <>
                <TokenStrip
                  wrap label="Tokens of the text" chosen={at} onChoose={(position) => go({ position })}
                  tokens={pieces.map((t) => ({ text: t.text, id: t.id, note: `id ${t.id}` }))}
                />
                <p class="readout">
                  <Num value={pieces.length} /> tokens of <Num value={r.bytes} /> bytes, <Num value={r.characters} /> characters.
                  {one && <> Position {at}: <Piece text={one.text} />, id <Num value={one.id} as={String} />, bytes <code>{one.bytes}</code></>}
                </p>
              </>
            );
          }}
        </Panel>
      </div>
    </>
  );
}
