// The story, in order.
import type { ComponentType } from 'preact';
import type { Info } from '../info';
import { Attention } from './attention';
import { Context } from './context';
import { Forget } from './forget';
import { Learn } from './learn';
import { LensChapter } from './lens';
import { MLP } from './mlp';
import { Last, Next } from './next';
import { Sample } from './sample';
import { Tally } from './tally';
import { Tokens } from './tokens';
import { Vectors } from './vectors';
import { What } from './what';

export interface Chapter {
  id: string;
  title: string;
  Body: ComponentType<{ info: Info }>;
}

export const chapters: Chapter[] = [
  { id: 'what', title: 'What it is', Body: What },
  { id: 'tokens', title: 'Text becomes tokens', Body: Tokens },
  { id: 'vectors', title: 'Tokens become vectors', Body: Vectors },
  { id: 'attention', title: 'Vectors talk: attention', Body: Attention },
  { id: 'context', title: 'Vectors soak in context', Body: Context },
  { id: 'mlp', title: 'Questions and answers: the MLP', Body: MLP },
  { id: 'lens', title: 'Again and again', Body: LensChapter },
  { id: 'last', title: 'The last vector', Body: Last },
  { id: 'next', title: 'Probabilities', Body: Next },
  { id: 'sample', title: 'Sample, append, repeat', Body: Sample },
  { id: 'forget', title: 'The end of the context', Body: Forget },
  { id: 'learn', title: 'How it learned', Body: Learn },
  { id: 'tally', title: 'Where the weights are', Body: Tally },
];
