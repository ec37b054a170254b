package io.espalier.quant.qat;

import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.ObserverFactory;
import io.espalier.tensor.Needed;

import java.util.function.Function;

/**
 * Makes fake quantizations with the ranges that observers find.
 *
 * @param type the fake quantization's class
 * @param observer makes the observer
 * @param around makes the fake quantization around it
 */
record RoundingFactory(
        Class<? extends Observer> type,
        ObserverFactory observer,
        Function<Observer, Observer> around)
        implements ObserverFactory {
    RoundingFactory {
        Needed.of(observer, "what makes the observer of a fake quantization");
    }

    @Override
    public Observer make() {
        return around.apply(observer.made());
    }

    /** As it is written: {@code FakeQuantize.with(MinMaxObserver.with())}. */
    @Override
    public String toString() {
        return type.getSimpleName() + ".with(" + observer + ")";
    }
}
