package io.espalier.conformance;

import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.Quantization;

import org.bytedeco.pytorch.Tensor;

import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** Layers folded into one for inference, and chains that can't be. */
final class FuseGroup implements Group {
    private static final Pattern CHAIN = Pattern.compile("(\\w+?)_bn(_relu)?");
    private static final Pattern MODEL = Pattern.compile("Sequential\\(([\\w,]*)\\)");
    private static final Tolerance TOLERANCE = Tolerance.within(1e-5);

    @Override
    public String name() {
        return "fuse";
    }

    @Override
    public void run(Case reference, Check check) {
        Matcher chain = CHAIN.matcher(reference.op());
        if (reference.op().equals("fuse_modules")) {
            Values params = reference.params();
            Quantization.fuseModules(model(params.text("model")), params.texts("names"));
        } else if (chain.matches()) {
            fold(chain.group(1), chain.group(2) != null, reference, check);
        } else {
            throw Group.unknown("operation", reference.op());
        }
    }

    private static Sequential model(String description) {
        Matcher sequential = MODEL.matcher(description);
        if (!sequential.matches()) {
            throw Group.unknown("model", description);
        }
        return new Sequential(
                Stream.of(sequential.group(1).split(","))
                        .map(Layers::small)
                        .toArray(Module[]::new));
    }

    private static void fold(String layer, boolean relu, Case reference, Check check) {
        Values inputs = reference.inputs();
        var model =
                new Sequential(
                        Layers.of(
                                layer,
                                inputs.tensor("weight"),
                                inputs.has("bias"),
                                reference.params()),
                        Layers.norm(
                                layer, inputs.tensor("bn_weight"), reference.params().real("eps")));
        if (relu) {
            model.append(new ReLU());
        }
        for (String name : inputs.names()) {
            if (!name.equals("x")) {
                boolean norm = name.startsWith("bn_") || name.startsWith("running_");
                String entry = (norm ? "1." : "0.") + name.replace("bn_", "");
                Layers.set(model, entry, inputs.tensor(name));
            }
        }
        model.eval();
        Tensor x = inputs.tensor("x");
        List<String> chain = IntStream.range(0, model.size()).mapToObj(Integer::toString).toList();
        Quantization.fuseModules(model, chain);

        Module folded = model.module(relu ? "0.0" : "0");
        Values expect = reference.expect();
        check.close("weight", expect.tensor("weight"), folded.value("weight"), TOLERANCE);
        check.close("bias", expect.tensor("bias"), folded.value("bias"), TOLERANCE);
        check.close("y", expect.tensor("y"), model.call(x), TOLERANCE);
        check.printed("repr", expect, model);
    }
}
