package io.espalier.onnx.inputs;

import io.espalier.nn.Functional;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;
import io.espalier.train.Losses;

import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Tensor;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** What a model is for, as the labels of its inputs say it: when its first result is right. */
public sealed interface Task {
    /**
     * To tell classes apart: labels are class numbers from 0 on, and the first result has a score
     * for each, [N, C].
     */
    static Task classes() {
        return new Classes();
    }

    /**
     * To read: labels are texts, and the first result has a score for each character at each step,
     * [N, T, C] or [T, N, C]. Steps of one character are one, and blanks nothing (connectionist
     * temporal classification: Graves et al., <a
     * href="https://doi.org/10.1145/1143844.1143891">2006</a>).
     *
     * @param characters a file with a character in each line
     * @throws EspalierException if it can't be read
     */
    static Task texts(Path characters) {
        return new Texts(Characters.load(characters));
    }

    /** What the share of right results is called. */
    String metric();

    /**
     * How many of a batch's results are right.
     *
     * @param result the model's first
     * @param labels as many as the batch has examples
     * @throws EspalierException if the result or a label is not what the task has
     */
    long right(Tensor result, List<String> labels);

    /**
     * How far a batch's results are from what the labels say, as a mean over its examples: the
     * cross entropy of classes, connectionist temporal classification of texts. The result may be
     * shares of one, as a softmax gives them, or scores.
     *
     * @param result the model's first
     * @param labels as many as the batch has examples
     * @return a scalar
     * @throws EspalierException if the result or a label is not what the task has
     */
    Tensor loss(Tensor result, List<String> labels);

    /** Class numbers. */
    record Classes() implements Task {
        @Override
        public String metric() {
            return "accuracy";
        }

        @Override
        public long right(Tensor result, List<String> labels) {
            long[] wanted = numbers(result, labels);
            long[] found = Tensors.longs(result.argmax(new LongOptional(1), false));
            long right = 0;
            for (int i = 0; i < wanted.length; i++) {
                right += wanted[i] == found[i] ? 1 : 0;
            }
            return right;
        }

        @Override
        public Tensor loss(Tensor result, List<String> labels) {
            Tensor wanted = Tensors.of(numbers(result, labels), labels.size());
            return Shares.areRowsOf(result)
                    ? Losses.nll().of(Shares.logarithms(result), wanted)
                    : Losses.crossEntropy().of(result, wanted);
        }

        /**
         * The classes that a result [N, C] should have.
         *
         * @throws EspalierException if it has other dimensions, or a label is no class
         */
        public long[] numbers(Tensor result, List<String> labels) {
            if (result.dim() != 2 || result.size(0) != labels.size()) {
                throw new EspalierException(
                        "Class numbers are for a result [N, C]; the model's is %s for %d examples."
                                .formatted(Arrays.toString(Tensors.shape(result)), labels.size()));
            }
            long classes = result.size(1);
            return labels.stream()
                    .mapToLong(label -> {
                        long number = number(label);
                        if (number < 0 || number >= classes) {
                            throw new EspalierException(
                                    "The label %d is no class of the model, which has %d, from 0 on."
                                            .formatted(number, classes));
                        }
                        return number;
                    })
                    .toArray();
        }

        private static long number(String label) {
            try {
                return Long.parseLong(label.strip());
            } catch (NumberFormatException e) {
                throw new EspalierException(
                        "The label '"
                                + label
                                + "' is no class number, from 0 on; texts need the characters that"
                                + " the model knows.",
                        e);
            }
        }
    }

    /** Texts, of the characters that a model knows. */
    record Texts(Characters characters) implements Task {
        @Override
        public String metric() {
            return "exact match";
        }

        @Override
        public long right(Tensor result, List<String> labels) {
            Tensor scores = steps(result, labels.size());
            List<String> all = characters.ofClasses(scores.size(2));
            long[] found = Tensors.longs(scores.argmax(new LongOptional(2), false).contiguous());
            int steps = Math.toIntExact(scores.size(1));
            long right = 0;
            for (int i = 0; i < labels.size(); i++) {
                right += text(found, i * steps, steps, all).equals(labels.get(i)) ? 1 : 0;
            }
            return right;
        }

        @Override
        public Tensor loss(Tensor result, List<String> labels) {
            Tensor scores = steps(result, labels.size());
            Tensor logs =
                    Shares.areRowsOf(scores)
                            ? Shares.logarithms(scores)
                            : Functional.logSoftmax(scores, 2);
            List<Long> wanted = new ArrayList<>();
            List<Long> lengths = new ArrayList<>();
            for (String label : labels) {
                long[] codes = codes(label, scores.size(1), scores.size(2));
                for (long code : codes) {
                    wanted.add(code);
                }
                lengths.add((long) codes.length);
            }
            return Functional.ctcLoss(
                    logs.transpose(0, 1),
                    Tensors.of(array(wanted), wanted.size()),
                    array(Collections.nCopies(labels.size(), scores.size(1))),
                    array(lengths));
        }

        private static long[] array(List<Long> numbers) {
            return numbers.stream().mapToLong(Long::longValue).toArray();
        }

        private static String text(long[] classes, int from, int steps, List<String> all) {
            var text = new StringBuilder();
            for (int t = from; t < from + steps; t++) {
                if (t == from || classes[t] != classes[t - 1]) {
                    text.append(all.get(Math.toIntExact(classes[t])));
                }
            }
            return text.toString();
        }

        /**
         * A result as [N, T, C].
         *
         * @throws EspalierException if it is of something else
         */
        public Tensor steps(Tensor result, long examples) {
            if (result.dim() == 3 && result.size(0) == examples) {
                return result;
            }
            if (result.dim() == 3 && result.size(1) == examples) {
                return result.transpose(0, 1);
            }
            throw new EspalierException(
                    "Texts are for a result [N, T, C] or [T, N, C]; the model's is %s for %d examples."
                            .formatted(Arrays.toString(Tensors.shape(result)), examples));
        }

        /**
         * A text as the classes of its characters.
         *
         * @param steps how many the model's result has
         * @param classes how many
         * @throws EspalierException if the model can't give it in so many steps, or has not one of
         *     its characters
         */
        public long[] codes(String text, long steps, long classes) {
            long[] codes = characters.codes(text, classes);
            long needed = codes.length;
            for (int i = 1; i < codes.length; i++) {
                needed += codes[i] == codes[i - 1] ? 1 : 0;
            }
            if (needed > steps) {
                throw new EspalierException(
                        "The text '%s' needs %d steps, and the model's result has %d."
                                .formatted(text, needed, steps));
            }
            return codes;
        }
    }
}
