package io.espalier.conformance;

import io.espalier.quant.observer.MovingAverageMinMaxObserver;
import io.espalier.quant.observer.MovingAveragePerChannelMinMaxObserver;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.ObserverSettings;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizationParameters;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.quant.qat.FusedMovingAvgObsFakeQuantize;

import org.bytedeco.pytorch.Tensor;

import java.util.List;

/**
 * Rounding to integers and back: values and gradients, and the range that follows a moving average.
 */
final class FakeQuantGroup implements Group {
    private static final Tolerance TOLERANCE = Tolerance.within(1e-6);

    @Override
    public String name() {
        return "fake_quant";
    }

    @Override
    public void run(Case reference, Check check) {
        switch (reference.op()) {
            case "per_tensor", "per_channel" -> rounding(reference, check);
            case "fused_moving_average" -> movingAverage(reference, check);
            default -> throw Group.unknown("operation", reference.op());
        }
    }

    private static void rounding(Case reference, Check check) {
        Values params = reference.params();
        int min = Observing.bound(params, "quant_min");
        QuantizationParameters parameters =
                Observing.parameters(
                        reference,
                        min < 0 ? QuantizedType.QINT8 : QuantizedType.QUINT8,
                        min,
                        Observing.bound(params, "quant_max"));
        Tensor x = reference.inputs().tensor("x").detach().clone().set_requires_grad(true);
        Tensor y = parameters.simulate(x);
        y.mul(reference.inputs().tensor("grad_out")).sum().backward();

        Values expect = reference.expect();
        check.close("y", expect.tensor("y"), y, TOLERANCE);
        check.close("grad", expect.tensor("grad"), x.grad(), TOLERANCE);
    }

    private static void movingAverage(Case reference, Check check) {
        Observer fakeQuantize = new FusedMovingAvgObsFakeQuantize(average(reference.params()));
        List<Tensor> batches = reference.inputs().tensors("batches");
        Values expect = reference.expect();
        for (String what : expect.names()) {
            if (expect.tensors(what).size() != batches.size()) {
                throw new MalformedCase("there are not as many " + what + " as batches");
            }
        }
        for (int i = 0; i < batches.size(); i++) {
            Tensor y = fakeQuantize.call(batches.get(i));
            for (String what : expect.names()) {
                Tensor came = what.equals("y") ? y : fakeQuantize.buffer(what);
                check.close(what + "[" + i + "]", expect.tensors(what).get(i), came, TOLERANCE);
            }
        }
    }

    /** Activations as a whole, affine; weights per channel, symmetric. */
    private static Observer average(Values params) {
        double constant = params.real("averaging_constant");
        ObserverSettings settings =
                params.flag("per_channel")
                        ? MovingAveragePerChannelMinMaxObserver.with(constant)
                                .qscheme(Qscheme.PER_CHANNEL_SYMMETRIC)
                        : MovingAverageMinMaxObserver.with(constant);
        return settings.dtype(Observing.dtype(params))
                .reduceRange(params.flag("reduce_range"))
                .quantRange(
                        Observing.bound(params, "quant_min"), Observing.bound(params, "quant_max"))
                .make();
    }
}
