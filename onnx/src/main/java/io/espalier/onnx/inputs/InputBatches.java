package io.espalier.onnx.inputs;

import io.espalier.onnx.inputs.BatchSource.Made;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.TensorException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.IntStream;

/**
 * The batches of {@link Inputs} for a model: tensors by the names of its inputs, of the types and
 * shapes that it takes. They can be gone through as often as needed, the same each time.
 *
 * <p>A batch belongs to the loop that goes through them, which frees it when the next one is asked
 * for, so that one at a time is in memory; {@link io.espalier.tensor.Tensors#keep} lets a tensor of
 * it live on. What is computed of it belongs to the caller's {@code PointerScope}.
 */
public final class InputBatches implements Iterable<Map<String, Tensor>> {
    private final Signature signature;
    private final BatchSource source;

    private InputBatches(Signature signature, BatchSource source) {
        this.signature = signature;
        this.source = source;
    }

    /** Batches of which the first has been made and found right. */
    static InputBatches checked(Signature signature, BatchSource source) {
        var batches = new InputBatches(signature, source);
        try (Loop loop = batches.iterator()) {
            if (!loop.hasNext()) {
                throw new EspalierException(source.name() + " has no examples.");
            }
            loop.next();
        }
        return batches;
    }

    /** The batches from the first on. */
    @Override
    public Loop iterator() {
        return new Loop(signature, source.batches());
    }

    /** How many batches there are; empty where only going through them tells. */
    public OptionalInt count() {
        return source.count();
    }

    /**
     * How many examples differ from all before them, counted as far as to a number. As many are
     * read as that takes.
     */
    public int different(int most) {
        List<List<Tensor>> seen = new ArrayList<>();
        try (var scope = new PointerScope();
                Loop loop = iterator()) {
            while (seen.size() < most && loop.hasNext()) {
                Map<String, Tensor> batch = loop.next();
                long examples = examples(batch);
                for (long i = 0; i < examples && seen.size() < most; i++) {
                    List<Tensor> example = example(batch, i);
                    if (seen.stream().noneMatch(other -> areEqual(example, other))) {
                        seen.add(example);
                    }
                }
            }
        }
        return seen.size();
    }

    private static List<Tensor> example(Map<String, Tensor> batch, long number) {
        return batch.values().stream()
                .map(tensor -> (tensor.dim() == 0 ? tensor : tensor.select(0, number)).clone())
                .toList();
    }

    private static boolean areEqual(List<Tensor> one, List<Tensor> other) {
        return IntStream.range(0, one.size()).allMatch(i -> one.get(i).equal(other.get(i)));
    }

    /** How many examples a batch has. */
    public static long examples(Map<String, Tensor> batch) {
        for (Tensor tensor : batch.values()) {
            if (tensor.dim() > 0) {
                return tensor.size(0);
            }
        }
        return 1;
    }

    /**
     * The right answers to the examples of each of some batches; no answers where there are none.
     *
     * @param all to all their examples and maybe more, in their order
     */
    public static List<List<String>> labels(List<Map<String, Tensor>> batches, List<String> all) {
        List<List<String>> labels = new ArrayList<>();
        int seen = 0;
        for (Map<String, Tensor> batch : batches) {
            int next = seen + Math.toIntExact(examples(batch));
            labels.add(all.isEmpty() ? all : all.subList(seen, next));
            seen = next;
        }
        return labels;
    }

    /** The right answer to each example, in their order; empty if they are not known. */
    public List<String> labels() {
        return source.labels();
    }

    /** What whoever uses them has to be told: that they are made up, for example. */
    public Optional<String> warning() {
        return source.warning();
    }

    /** One time through the batches. Whoever leaves before the end closes it. */
    public static final class Loop implements Iterator<Map<String, Tensor>>, AutoCloseable {
        private final Signature signature;
        private final Iterator<Made> source;
        private Map<String, Tensor> current = Map.of();

        private Loop(Signature signature, Iterator<Made> source) {
            this.signature = signature;
            this.source = source;
        }

        @Override
        public boolean hasNext() {
            boolean more = source.hasNext();
            if (!more) {
                close();
            }
            return more;
        }

        @Override
        public Map<String, Tensor> next() {
            close();
            try (var scope = new PointerScope();
                    var noGrad = new NoGradGuard()) {
                current = OwnedTensors.of(signature.checked(source.next()));
                return current;
            } catch (RuntimeException e) {
                throw e instanceof java.util.NoSuchElementException
                        ? e
                        : TensorException.in("Making a batch of inputs", e);
            }
        }

        /** Frees the batch that was given last. */
        @Override
        public void close() {
            OwnedTensors.free(current);
            current = Map.of();
        }
    }
}
