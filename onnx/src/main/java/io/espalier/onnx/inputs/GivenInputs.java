package io.espalier.onnx.inputs;

import io.espalier.onnx.inputs.BatchSource.Made;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.TensorException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.Iterator;
import java.util.Map;

/** Batches that a program makes. */
final class GivenInputs extends Inputs {
    private final Iterable<? extends Map<String, Tensor>> given;

    GivenInputs(Iterable<? extends Map<String, Tensor>> given, Selection selection) {
        super(selection);
        this.given = given;
    }

    @Override
    GivenInputs with(Selection other) {
        if (other.seed().isPresent()) {
            throw new EspalierException(
                    "The order of batches that a program makes is the program's; shuffle them"
                            + " there.");
        }
        return new GivenInputs(given, other);
    }

    @Override
    BatchSource open(OnnxModel model, Signature signature) {
        Needed.repeatable(given, "the batches");
        return new BatchSource() {
            @Override
            public Iterator<Made> batches() {
                return Pieces.of(new Numbered(started()), selection, signature);
            }

            @Override
            public String name() {
                return "The program";
            }
        };
    }

    private Iterator<? extends Map<String, Tensor>> started() {
        return Needed.given(given.iterator(), "the iterator of the batches");
    }

    /** Batches that an error can name. */
    private static final class Numbered implements Iterator<Made> {
        private final Iterator<? extends Map<String, Tensor>> given;
        private int number;

        Numbered(Iterator<? extends Map<String, Tensor>> given) {
            this.given = given;
        }

        @Override
        public boolean hasNext() {
            return given.hasNext();
        }

        @Override
        public Made next() {
            String name = "Batch " + ++number + " of the program";
            Map<String, Tensor> batch = Needed.of(given.next(), name);
            batch.forEach((input, tensor) -> requireLive(name, input, tensor));
            return new Made(name, batch);
        }

        private static void requireLive(String batch, String input, Tensor tensor) {
            try {
                Tensors.requireLive(tensor);
            } catch (EspalierException e) {
                throw TensorException.in("Taking '%s' of %s".formatted(input, batch), e);
            }
        }
    }
}
