package io.espalier.conformance;

import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.QuantizationParameters;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;

/**
 * An observer that sees some batches: the range it keeps, and the scale and zero point it finds.
 */
final class ObserversGroup implements Group {
    private static final Tolerance RANGE = Tolerance.relative(1e-6);
    private static final Tolerance BIN = Tolerance.absolute(0.5);

    @Override
    public String name() {
        return "observers";
    }

    @Override
    public void run(Case reference, Check check) {
        Observer observer = Observing.observer(reference.op(), reference.params()).make();
        reference.inputs().tensors("batches").forEach(observer::call);
        QuantizationParameters found = observer.quantizationParameters();
        Values expect = reference.expect();
        for (String what : expect.names()) {
            Tensor wanted = expect.tensor(what);
            switch (what) {
                case "scale" -> check.close(what, wanted, Tensors.of(found.scales()), RANGE);
                case "zero_point" -> check.close(what, wanted, zeroPoints(found), Tolerance.EXACT);
                case "min_val", "max_val" ->
                        check.close(what, wanted, observer.buffer(what), RANGE);
                case "histogram" -> check.close(what, wanted, observer.buffer(what), BIN);
                default -> throw Group.unknown("result", what);
            }
        }
    }

    static Tensor zeroPoints(QuantizationParameters parameters) {
        long[] zeroPoints = Arrays.stream(parameters.zeroPoints()).asLongStream().toArray();
        return Tensors.of(zeroPoints, zeroPoints.length);
    }
}
