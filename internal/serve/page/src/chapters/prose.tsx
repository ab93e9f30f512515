// What the chapters tell, in the order of the story. Panels with live values follow each.
import type { ComponentChildren } from 'preact';
import type { Info } from '../info';

const many = (n: number) => n.toLocaleString('en');

const Prose = ({ children }: { children: ComponentChildren }) => <div class="prose">{children}</div>;

export const WhatProse = () => (
  <Prose>
    <p>
      <strong>GPT</strong> stands for <em>generative pretrained transformer</em>. Generative: it makes new text. Pretrained: it has learned from
      a large amount of text, and can be trained further for a task. Transformer: the kind of neural network that it is,
      first used in 2017 to translate.
    </p>
    <p>
      It takes a text and predicts what comes next, as a probability for every small piece of text that could follow. To write, it takes one of
      these pieces by chance, appends it, and predicts again. All that goes in and comes out is an array of numbers, called a tensor: its shape
      stands beside each step. This page follows your text through the model, step by step. The model that you
      loaded computes every number on it.
    </p>
  </Prose>
);

export const TokensProse = ({ info }: { info: Info }) => (
  <Prose>
    <p>
      First the text is cut into small pieces, called tokens. Many are whole words with the space before them, others are parts of words or
      single characters. The model knows {many(info.model.shape.vocab)} of them, each by a number. With images or sound, tokens would be small
      patches of the image or short chunks of the sound.
    </p>
  </Prose>
);

export const VectorsProse = ({ info }: { info: Info }) => (
  <Prose>
    <p>
      Each token is turned into a vector, a list of {many(info.model.shape.width)} numbers. The embedding matrix has one column of numbers for
      each token: the vector is looked up there. It knows nothing yet of the words around it.
    </p>
    <p>
      Think of a vector as a point in a space with {many(info.model.shape.width)} directions. The numbers began at random; by training, tokens of
      similar meaning came to lie close to each other, and some directions got a meaning. The difference of two vectors is such a direction: add
      woman − man to king, and see which tokens are near.
    </p>
  </Prose>
);

export const AttentionProse = ({ info }: { info: Info }) => (
  <Prose>
    <p>
      In an attention block the vectors talk to each other. Each position asks a question (its query); every earlier position, and the position
      itself, offers an answer (its key). How well the two fit becomes a weight, and the position gathers what the others carry (their values),
      each times its weight. So a word learns from its context.
    </p>
    <p>
      Each of the {info.model.shape.layers} blocks does this with {info.model.shape.heads} heads at the same time, which look for different things.
      No position sees a later one. That is why the upper right half of each
      picture is empty. What matters may stand far back in the text.
    </p>
  </Prose>
);

export const ContextProse = () => (
  <Prose>
    <p>
      The same word begins with the same vector wherever it stands. <em>Model</em> in <q>a machine learning model</q> and in <q>a fashion model</q>{' '}
      start as one point. So does <em>king</em>, whose vector may come to tell of a king who lived in Scotland. Block by block the vectors soak in their context and move apart. Give two texts that share a word, and see how far, and
      which words moved it.
    </p>
  </Prose>
);

export const MLPProse = ({ info }: { info: Info }) => (
  <Prose>
    <p>
      After attention comes a multilayer perceptron (MLP). Here the vectors do not talk to each other: each goes through the same operation by
      itself, all in parallel. It is like a list of {many(info.model.shape.inner)} questions about the vector. Each question has
      a vector of its own. The answer is a number, and that many times this vector is added, which makes some tokens more likely and others less.
    </p>
  </Prose>
);

export const LensProse = ({ info }: { info: Info }) => (
  <Prose>
    <p>
      Attention and MLP alternate, {info.model.shape.layers} times. Every block adds to the vector; none replaces it. So you can stop after any
      block and ask what the model would say now: the logit lens maps the vectors between blocks to tokens as the last step does. Often the answer
      appears long before the end.
    </p>
    <p>
      The score of a token is a sum of what all blocks added. The attributions below split it up. Switch a head or a block off, and the model
      computes again without it: see what it did.
    </p>
  </Prose>
);

export const LastProse = () => (
  <Prose>
    <p>
      At the end all that matters of the text should be in the last vector. The prediction of the next token is made from this vector alone. The other
      vectors predict too: each the token that follows it. For writing only the last one counts. For training all of them do, so that one text
      gives as many lessons as it has tokens.
    </p>
  </Prose>
);

export const NextProse = ({ info }: { info: Info }) => (
  <Prose>
    <p>
      The unembedding matrix has a row for each of the {many(info.model.shape.vocab)} tokens. The row times the last vector is the token's score,
      called logit. Softmax turns all scores into probabilities: it takes e to the power of each score, and divides by the sum. Divided by a
      temperature before, scores come closer together (above 1) or further apart (below 1).
    </p>
  </Prose>
);

export const SampleProse = () => (
  <Prose>
    <p>
      Now one token is taken by chance, as often as its probability says. It is appended to the text, and everything begins again with the longer
      text. That is all that happens when a chatbot writes word by word. Append one token at a time, or let it run. Temperature, top-k and top-p
      change from which tokens it may choose: the bars show it.
    </p>
  </Prose>
);

export const ForgetProse = ({ info }: { info: Info }) => (
  <Prose>
    <p>
      The model takes at most {many(info.model.shape.context)} tokens at a time, its context size: the
      data that flows through it is an array of so many vectors of {many(info.model.shape.width)} numbers. GPT-3 takes 2,048 vectors of 12,288. When a
      text grows beyond the context, something must go.
      What has left the context is forgotten: it cannot change what comes next. That is why early chatbots lost the thread of long
      conversations.
    </p>
  </Prose>
);

export const LearnProse = () => (
  <Prose>
    <p>
      Nobody wrote down what the weights should be. They begin at random. In training the model predicts each token of a text, and the loss says how
      surprised it was, in nats. Backpropagation computes for every weight how the loss would change with it, and each weight is moved a little so
      that the loss falls. After many such steps the model can write. All deep learning works in this way. A model that has been trained can be trained
      further, on other text, for a task. Below a small model learns from nothing, while you watch.
    </p>
  </Prose>
);

export const TallyProse = () => (
  <Prose>
    <p>
      What a model has learned is in its weights, numbers that stand in matrices. They meet the text only in weighted sums: a matrix times a vector.
      So nearly all work is to
      multiply matrices. The matrices of a GPT are of eight kinds. The table counts them, with a running total.
    </p>
    <p>GPT-3 has 175 billion weights. Choose its shape, and the tally gives 175,181,291,520 in 27,938 matrices, to the digit.</p>
  </Prose>
);
