package io.espalier.onnx.inputs;

import io.espalier.tensor.EspalierException;

import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.OptionalInt;
import java.util.function.Function;

/**
 * Batches of examples that are made one by one.
 *
 * @param labels as many as there are examples, or none
 * @param maker makes a batch of some examples
 */
record ExampleSource<E>(
        String name,
        List<E> examples,
        List<String> labels,
        int batch,
        Function<List<E>, Made> maker)
        implements BatchSource {
    /** Examples for a model; those left over where it takes only whole batches are left out. */
    static <E> ExampleSource<E> of(
            String name,
            Signature signature,
            Selection selection,
            List<E> examples,
            List<String> labels,
            Function<List<E>, Made> maker) {
        int batch = selection.batchFor(signature);
        int used = examples.size();
        if (signature.fixedBatch().isPresent()) {
            used -= used % batch;
            if (used == 0) {
                throw new EspalierException(
                        "The model takes batches of %d; %s has %d examples."
                                .formatted(batch, name, examples.size()));
            }
        }
        return new ExampleSource<>(
                name,
                examples.subList(0, used),
                labels.isEmpty() ? labels : labels.subList(0, used),
                batch,
                maker);
    }

    @Override
    public OptionalInt count() {
        return OptionalInt.of(Math.ceilDiv(examples.size(), batch));
    }

    @Override
    public Iterator<Made> batches() {
        return new Iterator<>() {
            private int next;

            @Override
            public boolean hasNext() {
                return next < examples.size();
            }

            @Override
            public Made next() {
                if (!hasNext()) {
                    throw new NoSuchElementException("There is no further batch.");
                }
                int end = Math.min(examples.size(), next + batch);
                List<E> some = examples.subList(next, end);
                next = end;
                return maker.apply(some);
            }
        };
    }
}
