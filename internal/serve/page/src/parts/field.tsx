// Things to type into, to drag and to step.
import { useEffect, useRef, useState } from 'preact/hooks';

interface FieldProps {
  id: string;
  label: string;
  value: string;
  onValue: (value: string) => void;
  hint?: string;
  lines?: number;
  wait?: number; // milliseconds without a key before a value counts
  most?: number; // characters
}

// Field is for text. What is typed counts when the reader pauses, and at once with Enter or when the field is left.
export function Field({ id, label, value, onValue, hint, lines = 1, wait = 10, most }: FieldProps) {
  const [typed, setTyped] = useState(value);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const sent = useRef(value);
  useEffect(() => {
    // From elsewhere: the history, or a token that was appended.
    if (value !== sent.current) {
      clearTimeout(timer.current);
      sent.current = value;
      setTyped(value);
    }
  }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const send = (text: string) => {
    clearTimeout(timer.current);
    if (text === sent.current) return;
    sent.current = text;
    onValue(text);
  };
  const type = (text: string) => {
    setTyped(text);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => send(text), wait);
  };
  const shared = {
    id, value: typed, maxLength: most, spellcheck: false, autocomplete: 'off', 'aria-describedby': hint ? id + '-hint' : undefined,
    onBlur: () => send(typed),
  };
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {lines > 1
        ? <textarea {...shared} rows={lines} onInput={(e) => type(e.currentTarget.value)} />
        : <input {...shared} type="text" onInput={(e) => type(e.currentTarget.value)} onKeyDown={(e) => e.key === 'Enter' && send(typed)} />}
      {hint && <p class="hint" id={id + '-hint'}>{hint}</p>}
    </div>
  );
}

interface SliderProps {
  id: string;
  label: string;
  value: number;
  min: number;
  max: number;
  step: number;
  onValue: (value: number) => void;
  say?: (value: number) => string;
}

export function Slider({ id, label, value, min, max, step, onValue, say = String }: SliderProps) {
  return (
    <div class="slider">
      <label for={id}>{label}</label>
      <input
        id={id} type="range" min={min} max={max} step={step} value={value} aria-valuetext={say(value)}
        onInput={(e) => onValue(Number(e.currentTarget.value))}
      />
      <output for={id}>{say(value)}</output>
    </div>
  );
}

interface StepperProps {
  id: string;
  label: string;
  value: number;
  count: number; // values are 0 … count − 1
  special?: string; // the name of −1, where there is such a choice
  onValue: (value: number) => void;
}

// Stepper chooses one of some: a head, a layer.
export function Stepper({ id, label, value, count, special, onValue }: StepperProps) {
  const least = special === undefined ? 0 : -1;
  const to = (n: number) => Number.isInteger(n) && onValue(Math.max(least, Math.min(count - 1, n)));
  const options = [];
  for (let n = least; n < count; n++) options.push(<option key={n} value={n}>{n < 0 ? special : n}</option>);
  return (
    <div class="stepper">
      <label for={id}>{label}</label>
      <button type="button" aria-label={`${label}, one less`} disabled={value <= least} onClick={() => to(value - 1)}>−</button>
      {count <= 400
        ? <select id={id} value={value} onChange={(e) => to(Number(e.currentTarget.value))}>{options}</select>
        : <input id={id} type="number" min={least} max={count - 1} value={value} onChange={(e) => to(Number(e.currentTarget.value))} />}
      <button type="button" aria-label={`${label}, one more`} disabled={value >= count - 1} onClick={() => to(value + 1)}>+</button>
    </div>
  );
}

interface ChoiceProps {
  id: string;
  label: string;
  value: string;
  options: [value: string, name: string][];
  onValue: (value: string) => void;
}

export function Choice({ id, label, value, options, onValue }: ChoiceProps) {
  return (
    <div class="choice">
      <label for={id}>{label}</label>
      <select id={id} value={value} onChange={(e) => onValue(e.currentTarget.value)}>
        {options.map(([v, name]) => <option key={v} value={v}>{name}</option>)}
      </select>
    </div>
  );
}

interface SwitchProps {
  label: string;
  on: boolean;
  onValue: (on: boolean) => void;
}

export function Switch({ label, on, onValue }: SwitchProps) {
  return (
    <label class="switch">
      <input type="checkbox" role="switch" checked={on} onChange={(e) => onValue(e.currentTarget.checked)} />
      <span>{label}</span>
    </label>
  );
}
