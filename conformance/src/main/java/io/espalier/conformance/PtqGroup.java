package io.espalier.conformance;

import io.espalier.nn.Module;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.tensor.Engine;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.List;

/** Small models quantized after training, from float to int8, for each backend. */
final class PtqGroup implements Group {
    private static final Tolerance SCALE = Tolerance.relative(1e-5);
    private static final Tolerance FLOAT = Tolerance.within(1e-5);

    /** The output is float: the same kernels give the same numbers. */
    private static final Tolerance DYNAMIC = Tolerance.within(1e-5);

    private static final double STRAY = 0.005;

    @Override
    public String name() {
        return "ptq";
    }

    @Override
    public void run(Case reference, Check check) {
        try (var guard = new NoGradGuard()) {
            switch (reference.op()) {
                case "static" -> calibrated(reference, check);
                case "dynamic" -> dynamic(reference, check);
                default -> throw Group.unknown("operation", reference.op());
            }
        }
    }

    private static void calibrated(Case reference, Check check) {
        Values params = reference.params();
        Values inputs = reference.inputs();
        Values expect = reference.expect();
        Module model = Models.inStubs(params.text("model"), inputs);
        Tensor x = inputs.tensor("x");
        model.eval();
        check.close("y_float", expect.tensor("y_float"), model.call(x), FLOAT);
        List<List<String>> chains = Models.inBody(params.textLists("fuse"));
        if (!chains.isEmpty()) {
            Quantization.fuseModules(model, chains);
        }
        model.qconfig(QConfig.forBackend(params.text("engine")));
        Quantization.prepare(model);
        inputs.tensors("calibration").forEach(model::call);
        Quantization.convert(model);
        compare(model, model.call(x), expect, check);
    }

    private static void dynamic(Case reference, Check check) {
        Values params = reference.params();
        Values expect = reference.expect();
        Module model = Models.alone(params.text("model"), reference.inputs());
        Tensor x = reference.inputs().tensor("x");
        model.eval();
        check.close("y_float", expect.tensor("y_float"), model.call(x), FLOAT);
        Engine engine = Engine.of(params.text("engine"));
        String dtype = params.text("dtype");
        Tensor y =
                engine.during(() -> {
                    Quantization.quantizeDynamic(model, dynamicConfiguration(dtype));
                    return model.call(x);
                });
        check.close("y", expect.tensor("y"), y, DYNAMIC);
        check.printed("repr", expect, model);
    }

    private static QConfig dynamicConfiguration(String dtype) {
        return switch (dtype) {
            case "qint8" -> QConfig.dynamic();
            case "float16" -> QConfig.float16();
            default -> throw Group.unknown("dtype", dtype);
        };
    }

    private static void compare(Module model, Tensor y, Values expect, Check check) {
        Values layers = expect.object("layers");
        double step = 0;
        for (String path : layers.names()) {
            Values wanted = layers.object(path);
            Module layer = model.module(path);
            step = wanted.real("scale");
            check.close("scale of " + path, step, number(layer, "scale"), SCALE);
            check.close(
                    "zero point of " + path,
                    wanted.integer("zero_point"),
                    number(layer, "zero_point"),
                    Tolerance.EXACT);
        }
        for (String path : expect.namesUnder("weight_int.")) {
            check.equal(
                    "weight_int of " + path,
                    expect.tensor("weight_int." + path),
                    model.module(path).buffer("weight"));
        }
        check.close("y", expect.tensor("y"), y, Tolerance.absolute(1.001 * step).except(STRAY));
        check.printedWithoutScales("repr", expect, model);
    }

    private static double number(Module layer, String buffer) {
        return Check.doubles(layer.buffer(buffer))[0];
    }
}
