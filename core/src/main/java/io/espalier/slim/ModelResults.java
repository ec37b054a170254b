package io.espalier.slim;

import io.espalier.nn.Module;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * What a model gives for some data, and how far it is from that later: {@link RowDistance} of the
 * result that differs most.
 */
final class ModelResults implements AutoCloseable {
    private final Module model;
    private final List<Tensor> batches = new ArrayList<>();
    private final List<List<Result>> wanted = new ArrayList<>();

    /** Numbers in rows of so many. */
    @SuppressWarnings("ArrayRecordComponent") // Never compared.
    private record Result(float[] numbers, int row) {
        static Result of(Tensor result) {
            float[] numbers = Tensors.floats(result.to(ScalarType.Float).contiguous());
            return new Result(numbers, RowDistance.row(Tensors.shape(result)));
        }
    }

    /**
     * Runs the model, which is in inference mode.
     *
     * @param examples as many batches are looked at as have these together
     */
    ModelResults(Module model, Iterable<Tensor> data, int examples) {
        this.model = model;
        long seen = 0;
        for (Tensor batch : data) {
            if (seen >= examples) {
                break;
            }
            try (var scope = new PointerScope();
                    var noGrad = new NoGradGuard()) {
                batches.add(Tensors.keep(batch.clone()));
                wanted.add(results(batch));
                seen += batch.dim() == 0 ? 1 : batch.size(0);
            }
        }
    }

    /** All results of real numbers. */
    private List<Result> results(Tensor batch) {
        return model.callAll(List.of(batch)).stream()
                .filter(result -> result.is_floating_point() && result.numel() > 0)
                .map(Result::of)
                .toList();
    }

    /** How far the model's results are now, from 0 on. */
    double drop() {
        List<RowDistance> distances =
                Stream.generate(RowDistance::new).limit(wanted.getFirst().size()).toList();
        for (int b = 0; b < batches.size(); b++) {
            try (var scope = new PointerScope();
                    var noGrad = new NoGradGuard()) {
                List<Result> found = results(batches.get(b));
                for (int r = 0; r < found.size(); r++) {
                    Result expected = wanted.get(b).get(r);
                    distances
                            .get(r)
                            .add(expected.numbers(), found.get(r).numbers(), expected.row());
                }
            }
        }
        return distances.stream().mapToDouble(RowDistance::mean).reduce(0, Math::max);
    }

    @Override
    public void close() {
        batches.forEach(Tensor::releaseReference);
    }
}
