// The story, in order.
import type { ComponentType } from 'preact';
import type { Info } from '../info';
import { LensChapter } from './lens';
import { Learn } from './learn';
import { Sample } from './sample';
import { Tally } from './tally';
import { Tokens } from './tokens';
import { What } from './what';

export interface Chapter {
  id: string;
  title: string;
  Body: ComponentType<{ info: Info }>;
}

export const chapters: Chapter[] = [
  { id: 'what', title: 'What it is', Body: What },
  { id: 'tokens', title: 'Text becomes tokens', Body: Tokens },
  { id: 'lens', title: 'Again and again', Body: LensChapter },
  { id: 'sample', title: 'Sample, append, repeat', Body: Sample },
  { id: 'learn', title: 'How it learns', Body: Learn },
  { id: 'tally', title: 'Where the weights are', Body: Tally },
];
