// The command that gives the same values in a terminal.
import { useState } from 'preact/hooks';
import { say } from './say';

async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // not allowed, or no clipboard without https: the text can be selected
  }
}

export function Command({ line }: { line: string }) {
  const [done, set] = useState('');
  const copy = async () => {
    const said = (await copyText(line)) ? 'copied' : 'select it and copy';
    set(said);
    say(`Command: ${said}`);
    setTimeout(() => set(''), 2000);
  };
  return (
    <div class="command">
      <code>{line}</code>
      <button type="button" class="quiet" onClick={copy}>{done || 'copy'}</button>
    </div>
  );
}

// quote writes a word so that a shell takes it as it is.
export function quote(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  if (/[\u0000-\u001f\u007f]/.test(word)) {
    return "$'" + word.replace(/[\\']/g, '\\$&').replace(/\n/g, '\\n').replace(/\t/g, '\\t').replace(/\r/g, '\\r')
      .replace(/[\u0000-\u001f\u007f]/g, (c) => '\\x' + c.charCodeAt(0).toString(16).padStart(2, '0')) + "'";
  }
  return "'" + word.replace(/'/g, "'\\''") + "'";
}
