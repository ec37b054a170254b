package io.espalier.conformance;

import io.espalier.nn.Module;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.train.Losses;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Models trained with fake quantization, then converted. */
final class QatGroup implements Group {
    private static final Tolerance LOSS = Tolerance.relative(1e-3);
    private static final Tolerance WITHIN = Tolerance.within(1e-3);
    private static final String STATE = "state.";

    /** What is fused before training, by model. */
    private static final Map<String, List<String>> CHAINS =
            Map.of(
                    "linear_relu", List.of("body.0", "body.1"),
                    "conv_bn_relu", List.of("body.0", "body.1", "body.2"));

    @Override
    public String name() {
        return "qat";
    }

    @Override
    public void run(Case reference, Check check) {
        if (!reference.op().equals("train")) {
            throw Group.unknown("operation", reference.op());
        }
        Values params = reference.params();
        Values inputs = reference.inputs();
        Values expect = reference.expect();
        String name = params.text("model");
        Module model = Models.inStubs(name, inputs);
        Quantization.fuseModulesQat(model, chain(name));
        model.qconfig(QConfig.qatForBackend(params.text("engine")));
        Quantization.prepareQat(model);
        check.printed("repr_prepared", expect, model);

        check.close("losses", expect.reals("losses"), train(model, params, inputs), LOSS);
        model.eval();
        try (var guard = new NoGradGuard()) {
            Tensor fake = model.call(inputs.tensor("x"));
            state(model.stateDict(), expect, check);
            Quantization.convert(model);
            Tensor y = model.call(inputs.tensor("x"));
            double step = Check.doubles(model.module("body.0").buffer("scale"))[0];
            Tolerance twoSteps = Tolerance.absolute(2.001 * step);
            check.close("y_fake", expect.tensor("y_fake"), fake, twoSteps);
            check.close("y", expect.tensor("y"), y, twoSteps);
        }
        check.printedWithoutScales("repr_converted", expect, model);
    }

    private static List<String> chain(String name) {
        List<String> chain = CHAINS.get(name);
        if (chain == null) {
            throw Group.unknown("model", name);
        }
        return chain;
    }

    private static List<Double> train(Module model, Values params, Values inputs) {
        List<Tensor> batches = inputs.tensors("xs");
        List<Tensor> targets = inputs.tensors("targets");
        if (targets.size() != batches.size()) {
            throw new MalformedCase("there are not as many targets as xs");
        }
        Optimizer optimizer = Training.optimizer(params.object("optimizer"), model.parameters());
        List<Double> losses = new ArrayList<>();
        for (int i = 0; i < batches.size(); i++) {
            try (var step = new PointerScope()) {
                optimizer.zero_grad();
                Tensor output = model.call(batches.get(i));
                Tensor loss = Losses.crossEntropy().of(output, targets.get(i));
                loss.backward();
                optimizer.step();
                losses.add(loss.item_double());
            }
        }
        return losses;
    }

    /** The state after the last call: fake quantization goes on observing in eval mode. */
    private static void state(Map<String, Tensor> state, Values expect, Check check) {
        for (String entry : expect.namesUnder(STATE)) {
            Tensor came = state.get(entry);
            if (came == null) {
                check.equal(entry, "a tensor", "nothing");
            } else {
                check.close(entry, expect.tensor(STATE + entry), came, WITHIN);
            }
        }
    }
}
